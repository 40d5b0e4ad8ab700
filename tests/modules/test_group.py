"""Groups, step by step as ansible-core brings them about, in an /etc of their own."""

import isolated
import pytest

STEPS = [
    ("group", {"name": "gx"}, "check"),
    ("group", {"name": "gx"}),
    ("group", {"name": "gx"}),
    ("group", {"name": "gx", "gid": 7777}),
    ("group", {"name": "gx", "gid": 7777}, "check"),
    ("group", {"name": "gy", "gid": 7777}),
    ("group", {"name": "gy", "gid": 7777}, "check"),
    ("group", {"name": "gy", "gid": 7777, "non_unique": True}),
    ("group", {"name": "gz", "system": True}),
    ("group", {"name": "gu", "gid_min": 5000, "gid_max": 5001}),
    ("group", {"name": "gu2", "gid_min": 5001, "gid_max": 5001}),
    ("group", {"name": "gu3", "gid_min": 5001, "gid_max": 5001}),
    ("group", {"name": "gl", "local": True}),
    ("group", {"name": "gl", "local": True, "gid": 7778}),
    ("group", {"name": "gl", "local": True, "gid": 7779}),
    ("group", {"name": "gl2", "local": True, "gid": 7779}),
    ("group", {"name": "gl3", "local": True, "gid_min": 6000}),
    ("group", {"name": "gl", "local": True, "state": "absent"}),
    ("group", {"name": "gx", "state": "absent"}, "check"),
    ("group", {"name": "gx", "state": "absent"}),
    ("group", {"name": "gx", "state": "absent"}),
    ("group", {"name": "bad name"}),
    ("group", {"name": "root", "state": "absent"}),
    ("group", {"name": "root", "state": "absent", "force": True}, "check"),
    "useradd -N -g gz uz",
    ("group", {"name": "gz", "state": "absent"}),
    ("group", {"name": "gz", "state": "absent", "force": True}),
    "tail -3 /etc/group",
]


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    yield from isolated.target(tmp_path_factory)


@pytest.fixture(scope="module")
def oracle(tmp_path_factory):
    yield from isolated.oracle(tmp_path_factory)


def test_steps(run, oracle):
    isolated.replay("group", STEPS, run, oracle)


def test_diff(run):
    assert run("group", {"name": "ga", "gid": 4100}, diff=True)["diff"] == {
        "before": {"state": "absent"},
        "after": {"state": "present", "gid": 4100},
    }
    checked = run("group", {"name": "ga", "gid": 4101}, check=True, diff=True)
    assert checked["diff"] == {"before": {"state": "present", "gid": 4100}, "after": {"state": "present", "gid": 4101}}
