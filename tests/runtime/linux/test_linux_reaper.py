"""The first process of --init, by itself: for this machine, and for others by an emulator where one is installed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux import reaper
from tests.patience import seconds

if TYPE_CHECKING:
    from pathlib import Path

MACHINE = os.uname().machine
EMULATOR = shutil.which("qemu-aarch64-static")  # Debian: qemu-user-static
RUNNERS = [(MACHINE, [])] + ([("aarch64", [EMULATOR])] if EMULATOR and MACHINE != "aarch64" else [])


@pytest.fixture(params=RUNNERS, ids=[machine for machine, _words in RUNNERS])
def argv(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    machine, words = request.param
    path = tmp_path / "init"
    path.write_bytes(reaper.program(machine))
    path.chmod(0o755)
    return [*words, str(path)]


def test_it_ends_as_its_program_does(argv):
    def code(*words: str) -> int:
        return subprocess.run([*argv, *words], check=False, stderr=subprocess.DEVNULL, timeout=seconds(60)).returncode

    for script, expected in (("exit 5", 5), ("kill -9 $$", 137), ("kill -USR1 $$", 138), ("(sleep 0.1 &); exit 3", 3)):
        assert code("/bin/sh", "sh", "-c", script) == expected, script
    assert code("/no/such/program", "x") == 127
    assert code("/etc/passwd", "x") == 126
    said = subprocess.run([*argv, "/bin/sh", "sh", "-c", 'echo "$0 $1 $A"', "b"], env={"A": "c"}, capture_output=True)
    assert said.stdout == b"b  c\n"


def test_it_passes_signals_on(argv):
    script = "trap 'echo got; exit 9' TERM; echo up; while :; do sleep 0.02; done"
    with subprocess.Popen([*argv, "/bin/sh", "sh", "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"up\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == b"got\n"
        assert process.wait(60) == 9


def test_both_machines_have_the_same_steps():
    """A label, and a branch to one, stands at the same step of each: what is tried on one is as on the other."""
    one, other = ([(label, target) for label, _code, target in table] for table in (reaper._X86_64, reaper._AARCH64))
    assert [step for step in one if any(step)] == [step for step in other if any(step)]
    with pytest.raises(RuntimeFailure, match="x86_64 and aarch64"):
        reaper.program("riscv64")
