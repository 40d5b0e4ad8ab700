"""What is started warm is what would have been started cold."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests import warm

if TYPE_CHECKING:
    from pathlib import Path

PYTHON = [sys.executable, "-I", "-S", "-c"]
TELL = """
import json, os, resource, signal, sys
with open("/proc/self/status") as file:
    kinds = ("Uid", "Gid", "Umask", "SigB", "SigI", "SigC", "Cap", "NoNewPrivs")
    about = [line for line in file if line.startswith(kinds)]
with open("/proc/self/cmdline", "rb") as file:
    shown = file.read().rstrip(bytes(1)).decode()
print(json.dumps({
    "words": sys.argv, "shown": shown, "flags": repr(sys.flags),
    "environment": dict(os.environ), "folder": os.getcwd(), "about": about,
    "files": sorted(os.listdir("/proc/self/fd")),
    "session": os.getsid(0) == os.getpid(), "group": os.getpgid(0) == os.getpid(), "read": sys.stdin.read(),
    "encodings": [(one.encoding, one.errors, one.line_buffering) for one in (sys.stdin, sys.stdout, sys.stderr)],
    "limits": resource.getrlimit(resource.RLIMIT_NOFILE), "places": sorted(map(os.readlink, sys.argv[3:])),
}))
"""


@pytest.mark.parametrize("session", [False, True])
@pytest.mark.parametrize("environment", [{"A": "1"}, {"LC_ALL": "C.UTF-8", "TZ": "Asia/Tokyo"}, {"LANG": "C"}])
def test_surroundings(tmp_path: Path, environment: dict[str, str], session: bool) -> None:
    (tmp_path / "file").write_text("x")
    kinds = [f"/proc/self/ns/{kind}" for kind in (*warm.NAMESPACES, "net")]
    with open(tmp_path / "file") as file:
        said = [
            start(
                [*PYTHON, TELL, "wörd", "", *kinds],
                cwd=tmp_path,
                env=environment,
                input="given",
                capture_output=True,
                text=True,
                pass_fds=[file.fileno()],
                start_new_session=session,
            )
            for start in (subprocess.run, warm.run)
        ]
    cold, warmed = (json.loads(one.stdout) for one in said)
    assert warmed == cold
    assert cold["session"] == session


@pytest.mark.parametrize(
    "text",
    [
        "raise SystemExit",
        "raise SystemExit(300)",
        "raise SystemExit('a message')",
        "import os; os._exit(7)",
        "print('no newline', end=''); 1 / 0",
        "import signal; signal.raise_signal(signal.SIGINT)",
        "import signal; signal.raise_signal(signal.SIGTERM)",
        "import atexit; atexit.register(print, 'last'); print('first')",
        "import threading; threading.Timer(0.01, print, ['later']).start()",
        "import sys; sys.stdout.close()",
        "not Python",
    ],
)
def test_ends(text: str) -> None:
    cold, warmed = (start([*PYTHON, text], capture_output=True, text=True) for start in (subprocess.run, warm.run))
    assert (warmed.returncode, warmed.stdout) == (cold.returncode, cold.stdout)
    assert warmed.stderr.splitlines()[-1:] == cold.stderr.splitlines()[-1:]


def test_signals_and_waiting() -> None:
    with warm.Popen(
        [*PYTHON, "print('here', flush=True); import time; time.sleep(100)"], stdout=subprocess.PIPE
    ) as one:
        assert one.stdout is not None and one.stdout.readline() == b"here\n"
        assert one.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            one.wait(0.01)
        one.send_signal(signal.SIGTERM)
        assert one.wait(20) == one.poll() == -signal.SIGTERM
    assert not os.path.exists(f"/proc/{one.pid}")


def test_the_command(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "shepherd", "play", "absent.yml"]
    cold, warmed = (start(words, cwd=tmp_path, capture_output=True, text=True) for start in (subprocess.run, warm.run))
    assert (warmed.returncode, warmed.stdout, warmed.stderr) == (cold.returncode, cold.stdout, cold.stderr)
    assert "absent.yml" in cold.stderr


def test_what_has_to_start_by_itself_does(tmp_path: Path) -> None:
    """A folder for Python to look into, another program, another place: no process is asked to fork."""
    (tmp_path / "sitecustomize.py").write_text("print('customised')")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    assert (
        "customised"
        in warm.run([sys.executable, "-m", "shepherd"], env=environment, capture_output=True, text=True).stdout
    )
    assert warm.run(["echo", "a"], capture_output=True, text=True, check=True).stdout == "a\n"
