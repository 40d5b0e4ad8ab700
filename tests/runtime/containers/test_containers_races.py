"""Two processes clear up, or make something, at the same time: at each step of the one the other does all of it."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import shutil
import signal
import subprocess
import sys
import traceback
from typing import TYPE_CHECKING

import pytest
from containers import PROGRAM, up

from shepherd.runtime.cli import main
from shepherd.runtime.containers import launch, record, removal
from shepherd.runtime.containers.folders import Folders
from shepherd.runtime.images import files
from tests import warm
from tests.patience import seconds

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from containers import Runtime

pytestmark = pytest.mark.lab
STEPS = ("open", "os.listdir", "os.remove", "os.rmdir", "os.rename", "os.mkdir", "os.symlink", "fcntl.flock")
WAITS = 3  # the exit code of who would have to wait for the other: a lock keeps them apart


class _WouldWait(BaseException):
    pass


def in_child(work: Callable[[], object]) -> int:
    """The pid of a process that does it: its exit code says whether it did."""
    pid = os.fork()
    if pid == 0:
        signal.alarm(100)  # whoever waits for it is not to wait for ever
        code = 1
        try:
            work()
            code = 0
        except _WouldWait:
            code = WAITS
        except BaseException:  # noqa: BLE001 - told by the exit code
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    return pid


def code_of(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def never_waiting(work: Callable[[], object]) -> Callable[[], object]:
    """The same, but for a lock that somebody has it ends."""

    def done() -> object:
        plain = fcntl.flock

        def flock(descriptor: int, kind: int) -> None:
            try:
                plain(descriptor, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                if kind & fcntl.LOCK_NB:
                    raise
                raise _WouldWait from None

        def take(descriptor: int, kind: int, _patience: float, _what: str) -> None:
            flock(descriptor, kind)

        fcntl.flock, files.take = flock, take
        return work()

    return done


def meanwhile(step: int, work: Callable[[], object], other: Callable[[], None]) -> bool:
    """Do `work()` in a process in which `other()` is called before its step of that number: whether it has so many."""
    reader, writer = os.pipe()

    def stepping() -> None:
        left = step
        busy = False

        def hook(event: str, _arguments: object) -> None:
            nonlocal left, busy
            if busy or event not in STEPS:
                return
            left -= 1
            if left == 0:
                busy = True
                os.write(writer, b"x")
                other()
                busy = False

        sys.addaudithook(hook)
        work()

    pid = in_child(stepping)
    os.close(writer)
    came = os.read(reader, 1) == b"x"
    os.close(reader)
    assert code_of(pid) == 0, step
    return came


@pytest.fixture
def left(runtime: Runtime, tmp_path: Path) -> Callable[[], Folders]:
    """Puts back what a machine has on which everybody was killed while a container was being removed."""
    identity = runtime.start("one", "-v", "/anonymous", "box:1", "sleep", "1000")
    pid = runtime.inspect("one")["State"]["Pid"]
    runtime.kill_monitor("one")
    os.kill(pid, signal.SIGKILL)
    runtime.until(lambda: not os.path.exists(f"/proc/{pid}"))
    (runtime.state / "containers" / identity / "root").mkdir(exist_ok=True)
    places = runtime.root / "containers", runtime.state / "containers", runtime.state / "started", runtime.root / "pins"
    for number, place in enumerate(places):
        subprocess.run(["cp", "-a", place, tmp_path / f"left{number}"], check=True)

    def again() -> Folders:
        for number, place in enumerate(places):
            shutil.rmtree(place)
            subprocess.run(["cp", "-a", tmp_path / f"left{number}", place], check=True)
        return Folders(str(runtime.root), str(runtime.state))

    return again


@pytest.mark.parametrize("first", ["sweep", "removal"])
def test_a_sweep_beside_each_step_of_another(runtime: Runtime, left: Callable[[], Folders], first: str) -> None:
    """A monitor that removes its own container (--rm), or a sweep; and `rm` of another container sweeps, too."""
    step = -1
    more = True
    while more:
        step += 2
        folders = left()
        if first == "sweep":
            (one,) = record.ids(folders)
            os.rename(folders.container(one), os.path.join(folders.containers, ".gone-" + one))
        (found,) = record.everything(folders) or [None]

        def work(folders: Folders = folders, found: record.Record | None = found) -> None:
            if found is not None:
                removal.remove_own(found)
            else:
                removal.sweep(folders)

        def other(folders: Folders = folders) -> None:
            code = code_of(in_child(never_waiting(lambda: removal.sweep(folders))))
            assert code in (0, WAITS)

        more = meanwhile(step, work, other)
        removal.sweep(folders)
        assert runtime.traces() == [], step
    assert step > 20


def held_after_its_pin(runtime: Runtime, told: int, go: int) -> None:
    """`create`, which stops between the pin of its image and the rename by which the container appears."""
    held = False

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal held
        if not held and event == "open" and str(arguments[0]).endswith("/hostname"):
            held = True
            os.write(told, b"pinned")
            os.read(go, 1)

    for name in os.listdir("/proc/self/fd"):  # a lock that was held where we were forked is not to be ours
        if int(name) > 2 and int(name) not in (told, go):
            with contextlib.suppress(OSError):
                os.close(int(name))
    sys.stdout, sys.stderr = io.StringIO(), io.StringIO()  # what they wrote to is closed
    os.environ.update(runtime.environment)
    sys.addaudithook(hook)
    code = main(["create", "--network", "none", "box:1", "true"])
    os.write(told, b"made" if code == 0 else sys.stderr.getvalue().encode())


def test_a_sweep_takes_no_pin_of_a_container_that_is_just_made(runtime: Runtime) -> None:
    folders = Folders(str(runtime.root), str(runtime.state))
    folders.make()
    step = -1
    more = True
    while more:
        step += 2
        reader, told = os.pipe()
        go, writer = os.pipe()

        def other(told: int = told, go: int = go, reader: int = reader) -> None:
            in_child(lambda: held_after_its_pin(runtime, told, go))
            assert os.read(reader, 6) == b"pinned"

        more = meanwhile(step, lambda: removal.sweep(folders), other)
        os.write(writer, b"x")
        os.close(told)
        with open(reader, "rb") as file:
            assert file.read() == (b"made" if more else b"")
        os.close(go)
        os.close(writer)
        for one in record.everything(folders):
            assert os.path.exists(runtime.root / "pins" / one.id), step
            removal.remove(one)
    assert step > 5


def test_two_that_nobody_named_take_two_names(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chance gives both the same one; the first is held between its pin and its appearance, and the second comes by."""
    plain = os.urandom
    monkeypatch.setattr(os, "urandom", lambda size: bytes(size) if size == 4 else plain(size))
    reader, told = os.pipe()
    go, writer = os.pipe()
    first = in_child(lambda: held_after_its_pin(runtime, told, go))
    assert os.read(reader, 6) == b"pinned"

    def second() -> None:
        os.environ.update(runtime.environment)
        assert main(["create", "--network", "none", "box:1", "true"]) == 0

    assert code_of(in_child(second)) == 0
    os.write(writer, b"x")
    assert code_of(first) == 0
    assert os.read(reader, 1000) == b"made"
    assert len(set(runtime.do("ps", "-a", "--format", "{{.Names}}").split())) == 2
    for end in (reader, told, go, writer):
        os.close(end)


LATE = """
import glob, os, sys, time
us = os.getpid()
def wait():
    if os.getpid() != us or not glob.glob({state!r} + "/containers/*"):
        return  # that was not the monitor
    deadline = time.monotonic() + seconds(60)
    while not any(os.path.getsize(one) for one in glob.glob({root!r} + "/containers/*/*-json.log")):
        assert time.monotonic() < deadline
os.register_at_fork(after_in_parent=wait)
"""


def test_who_is_late_to_attach_misses_nothing(runtime: Runtime) -> None:
    """`run` gets no processor between the fork of its monitor and the moment at which the container has spoken."""
    program = LATE.format(root=str(runtime.root), state=str(runtime.state)) + PROGRAM
    words = [sys.executable, "-I", "-S", "-c", program, "run", "--network", "none", "box:1", "echo", "here"]
    done = warm.run(words, env=runtime.environment, capture_output=True, text=True, timeout=seconds(100), check=False)
    assert (done.stdout, done.returncode) == ("here\n", 0), done


def test_one_that_its_monitor_removes_while_it_is_being_removed(runtime, monkeypatch):
    """`--rm`, and `rm -f` in the moment in which it ends: both mean the same."""
    pid = up(runtime, "one", "--rm")
    found = record.find(Folders(str(runtime.root), str(runtime.state)), "one")
    connect = launch.connect

    def late(one):
        connection = connect(one)
        os.kill(pid, signal.SIGKILL)
        runtime.until(lambda: not os.path.exists(one.folder))
        return connection

    monkeypatch.setattr(launch, "connect", late)
    removal.remove(found, force=True)
    runtime.until(lambda: runtime.traces() == [])
