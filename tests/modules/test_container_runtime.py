"""The runtime's file arrives on a host (what it does there is tested with containers, in tests/containers)."""

import hashlib
import os

import pytest

FOLDER = "/usr/local/lib/shepherd"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, as the runtime does")
def test_a_runtime_that_was_changed_on_its_way_is_not_installed(run, scratch):
    """Nothing of it is executed, and nothing is left of it."""
    sent, arrived = b"print('harmless')\n", f"open({str(scratch / 'ran')!r}, 'w')\n".encode()
    before = os.listdir(FOLDER) if os.path.isdir(FOLDER) else None
    args = {"force": True, "_runtime": "0", "_sha256": hashlib.sha256(sent).hexdigest()}
    result = run("container_runtime", args, upload=arrived)
    assert result["failed"] and "its digest is another" in result["msg"]
    assert (os.listdir(FOLDER) if os.path.isdir(FOLDER) else None) == before
    assert not (scratch / "ran").exists()
