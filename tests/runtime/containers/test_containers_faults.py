"""Power cuts, kills and full disks: afterwards a container, a volume or an image is all there, or not at all.

A power cut takes more than a kill does: what was written and not synced. So at some step everything of ours is killed,
and then every file that nobody had synced since it was changed loses its content, as it does on a file system that
allocates late.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from containers import CHECKOUT, base, busybox
from image_maker import Layout, entry, layer

from tests import warm
from tests.patience import seconds

if TYPE_CHECKING:
    from pathlib import Path

    from containers import Runtime

pytestmark = pytest.mark.lab
# Runs a verb. Before the step of that number, counted in all processes that come of it, all of them are killed. Which
# files were synced is kept in a file: their inodes, or "all" and when that was (syncfs). A build's process, the first
# of a namespace, can kill nobody outside: it says so by a pipe, and stands still.
CUT = """
import fcntl, mmap, os, signal, struct, sys, time
sys.path.insert(0, {checkout!r})
step, synced, given = int(sys.argv.pop(1)), sys.argv.pop(1), int(sys.argv.pop(1))
told = fcntl.fcntl(given, fcntl.F_DUPFD_CLOEXEC, 500)  # a number that nobody else comes to have
os.close(given)
from shepherd.runtime.cli import main
from shepherd.runtime.linux import syscalls
counter, group = mmap.mmap(-1, 8), os.getpgrp()
real = os.open
def note(text):  # opened each time: monitors close what they do not know
    notes = real(synced, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    write(notes, text)
    os.close(notes)
def tell(text):
    try:
        write(told, text)
    except OSError:
        return False
    return True
def watched(call):
    def wrapper(*words, **names):
        first = os.getpid() == 1
        if first and not tell(b""):
            return call(*words, **names)  # a container's, which has closed it
        done = struct.unpack("q", counter)[0] + 1
        counter[:] = struct.pack("q", done)
        if done == step:
            while first and tell(b"now"):
                time.sleep(1000)
            os.killpg(group, signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)  # a monitor is in a group of its own
        return call(*words, **names)
    return wrapper
fsync, syncfs, write, fstat = os.fsync, syscalls.syncfs, os.write, os.fstat
def noted(fd):
    fsync(fd)
    note(b"%d\\n" % fstat(fd).st_ino)
def noted_all(fd):
    syncfs(fd)
    note(b"all %d\\n" % time.time_ns())
os.fsync, syscalls.syncfs = noted, noted_all
for name in ("rename", "mkdir", "unlink", "link", "symlink", "fsync", "rmdir", "open", "fchmod"):
    setattr(os, name, watched(getattr(os, name)))
code = main(sys.argv[1:])
sys.stdout.write("%d" % struct.unpack("q", counter)[0])
sys.stdout.flush()
os._exit(code)
"""


def cut(runtime: Runtime, step: int, *words: str) -> int:
    """Run a verb up to that step, and have the power go: how many steps it took where it came to its end, else 0."""
    synced = runtime.place / "synced"
    synced.unlink(missing_ok=True)
    started = runtime.place / "started"
    started.touch()
    said, tells = os.pipe()
    argv = [sys.executable, "-I", "-S", "-c", CUT.format(checkout=str(CHECKOUT)), str(step), str(synced), str(tells)]
    done = warm.Popen(
        [*argv, *words], env=runtime.environment, start_new_session=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, pass_fds=[tells],
    )  # fmt: skip
    os.close(tells)
    if os.read(said, 3):
        os.killpg(done.pid, signal.SIGKILL)
    os.close(said)
    out, err = done.communicate(timeout=seconds(60))
    for pid in runtime.ours():
        os.kill(pid, signal.SIGKILL)
    runtime.until(lambda: not runtime.ours())
    if done.returncode != -signal.SIGKILL:
        assert done.returncode == 0, err
        return int(out.rpartition("\n")[2])
    notes = synced.read_text().splitlines() if synced.exists() else []
    kept = {int(one) for one in notes if not one.startswith("all")}
    since = max([started.stat().st_mtime_ns, *(int(one.split()[1]) for one in notes if one.startswith("all"))])
    for where, _folders, names in os.walk(runtime.root):
        for name in names:
            path = os.path.join(where, name)
            found = os.lstat(path)
            if (
                os.path.isfile(path)
                and not os.path.islink(path)
                and found.st_ctime_ns > since
                and found.st_ino not in kept
            ):
                os.truncate(path, 0)
    return 0


def boot(runtime: Runtime) -> None:
    """The machine starts again: nothing is left of /run."""
    shutil.rmtree(runtime.state, ignore_errors=True)
    runtime.do("boot")


def walk(runtime: Runtime, count: int, *words: str):
    """Each of about so many steps of a verb, at which the power goes."""
    total = cut(runtime, 0, *words)
    yield "whole"
    for step in range(1, total + 1, max(1, total // count)):
        if cut(runtime, step, *words):
            break
        boot(runtime)
        yield step
    assert total > count


def test_the_power_goes_while_a_container_is_made(runtime: Runtime) -> None:
    """With a volume that it fills, and a first process of ours (--init): it can be started, and has its files."""
    words = ("create", "--network", "none", "--init", "--name", "one", "-v", "vol:/data", "box:1", "sh", "-c",
             "cat /etc/hosts /data/seed; cat /proc/1/comm")  # fmt: skip
    seen = []
    for step in walk(runtime, 9, *words):
        names = runtime.do("ps", "-a", "--format", "{{.Names}}").split()
        assert names in ([], ["one"]), step
        if names:
            said = runtime.do("start", "-a", "one")
            assert "127.0.0.1\tlocalhost\n" in said and "seed\n" in said and said.endswith("init\n"), (step, said)
            runtime.do("rm", "one")
        seen.append(bool(names))
        if "vol" in runtime.do("volume", "ls", "-q").split():
            runtime.do("volume", "rm", "vol")
        runtime.do("container", "prune", "-f")
        assert runtime.traces() == [], step
        assert list((runtime.root / "volumes").iterdir()) == [], step
    assert True in seen and False in seen


def test_the_power_goes_while_one_is_started_and_its_volume_filled(runtime: Runtime) -> None:
    """The container is there, with its volume full, or empty and to be filled."""
    seen = set()
    for step in range(5, 95, 15):
        if not runtime.do("ps", "-aq"):
            script = "cat /data/seed; wc -c < /etc/hosts; wc -c < /etc/hostname"
            runtime.do("create", "--network", "none", "--name", "one", "-v", "vol:/data", "box:1", "sh", "-c", script)
        finished = cut(runtime, step, "start", "one")
        boot(runtime)
        said = runtime.do("start", "-a", "one").split()
        assert said[0] == "seed" and int(said[1]) > 20 and int(said[2]) == 13, (step, said)
        seen.add(bool(finished))
        runtime.do("rm", "one")
        runtime.do("volume", "rm", "vol")
    assert False in seen


def test_the_power_goes_while_one_is_removed(runtime: Runtime) -> None:
    for step in range(3, 45, 9):
        runtime.do("create", "--network", "none", "--name", "one", "-v", "/anonymous", "box:1", "echo", "here")
        cut(runtime, step, "rm", "-v", "one")
        boot(runtime)
        if runtime.do("ps", "-aq"):
            assert runtime.do("start", "-a", "one") == "here\n"
            runtime.do("rm", "-v", "one")
        runtime.do("container", "prune", "-f")
        runtime.do("volume", "prune", "-f")  # what its maker could not remove any more is nobody's
        assert runtime.traces() == [], step
        assert list((runtime.root / "volumes").iterdir()) == [], step


@pytest.mark.parametrize("verb", ["create", "rm"])
def test_the_power_goes_while_a_volume_comes_or_goes(runtime: Runtime, verb: str) -> None:
    words = ("volume", verb, "vol")
    if verb == "rm":
        runtime.do("volume", "create", "vol")
    for step in walk(runtime, 5, *words):
        found = (
            json.loads(runtime.do("volume", "inspect", "vol"))[0]["Name"] if runtime.do("volume", "ls", "-q") else None
        )
        assert found in (None, "vol"), step
        if found and verb == "create":
            runtime.do("volume", "rm", "vol")
        elif not found and verb == "rm":
            runtime.do("volume", "create", "vol")
        runtime.do("volume", "prune", "-f")
        left = [one.name for one in (runtime.root / "volumes").iterdir()]
        assert left == (["vol"] if verb == "rm" else []), step


def test_the_power_goes_while_an_image_is_imported(runtime: Runtime, tmp_path: Path) -> None:
    """What has a name can be run, and has all of its content; what was begun goes with the next collection."""
    layout = Layout(tmp_path / "another")
    data = os.urandom(40000)
    layout.name(
        layout.image([layer(*base()), layer(entry("big", data=data))], config={"Cmd": ["wc", "-c", "/big"]}), "new:1"
    )
    seen = []
    for step in walk(runtime, 8, "load", "-q", str(layout.path)):
        there = "new" in runtime.do("images", "--format", "{{.Repository}}").split()
        seen.append(there)
        if there:
            assert runtime.output("new:1").split()[0] == "40000", step
            runtime.do("rmi", "new:1")
        runtime.do("image", "prune", "-f")
        assert runtime.output("box:1", "echo", "others are as they were") == "others are as they were\n"
    assert seen[0] and False in seen


def test_the_power_goes_while_an_image_is_built(runtime: Runtime, tmp_path: Path) -> None:
    """It is there as a whole or not at all, and so is what is kept of its steps: another build has all of its files."""
    context = tmp_path / "context"
    context.mkdir()
    (context / "copied").write_bytes(os.urandom(40000))
    (context / "Containerfile").write_text(
        "FROM box:1\nCOPY copied /data/\nRUN seq 1000 > /data/made\nCMD cat /data/copied /data/made | wc -c\n"
    )
    words = ("build", "-q", "-t", "new:1", str(context))
    seen = []
    for step in walk(runtime, 4, *words):
        seen.append("new" in runtime.do("images", "--format", "{{.Repository}}").split())
        if not seen[-1]:
            runtime.do(*words)  # with what is kept of the other
        assert runtime.output("new:1") == "43893\n", step
        runtime.do("rmi", "new:1")
        runtime.do("builder", "prune", "-a")
        runtime.do("image", "prune", "-f")
        assert list((runtime.root / "staging").iterdir()) == [], step
        assert list((runtime.root / "leases").iterdir()) == [], step
        assert list((runtime.root / "build/locks").iterdir()) == [], step
        assert runtime.output("box:1", "echo", "others are as they were") == "others are as they were\n"
    assert seen[0] and False in seen


# No room


FULL = """
set -eu
mount -t tmpfs -o size={size} none {root}
mkdir -p {state}
mount -t tmpfs none {state}
{script}
"""


def on_a_small_disk(runtime: Runtime, size: str, script: str) -> str:
    """What a script prints in which `run VERB …` is the command line, with so much room for the root."""
    if busybox() is None:
        pytest.skip("needs a busybox without libraries")
    runtime.state.mkdir(exist_ok=True)
    shell = f'run() {{ {shlex.join(runtime.argv())} "$@"; }}\n' + script
    text = FULL.format(size=size, root=runtime.root, state=runtime.state, script=shell)
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", text], env=runtime.environment, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=seconds(100), check=False,
    )  # fmt: skip
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr + done.stdout
    return done.stdout


def test_an_import_that_finds_no_room_leaves_nothing(runtime: Runtime, tmp_path: Path) -> None:
    layout = Layout(tmp_path / "large")
    layout.name(layout.image([layer(*base(), entry("big", data=os.urandom(3 << 20)))]), "large:1")
    layout_small = runtime.layout.path
    found = on_a_small_disk(
        runtime, "6m", f"""
        run load -q {layout.path} 2>&1 && run create --network none large:1 true 2>&1 && echo done || true
        run image prune -f >/dev/null
        find {runtime.root}/staging {runtime.root}/layers -mindepth 1 -maxdepth 1
        run rmi large:1 >/dev/null 2>&1 || true
        run image prune -f >/dev/null
        run load -q {layout_small} >/dev/null
        run run --rm --network none box:1 echo fine
        """,
    )  # fmt: skip
    lines = found.splitlines()
    assert re.search("No space left|free", lines[0]), found
    assert lines[-1] == "fine" and "done" not in lines
    assert not [line for line in lines if line.startswith("/")], found  # what `find` saw


def test_a_container_that_finds_no_room_is_not_there_and_its_log_holds_nobody_up(runtime: Runtime) -> None:
    """One fills the disk on which its log is, too: whoever is at it still gets all that it says."""
    found = on_a_small_disk(
        runtime, "12m", f"""
        run load -q {runtime.layout.path} >/dev/null
        run create --network none --name idle box:1 true >/dev/null
        run run --network none --name kept -v kept:/data box:1 \\
            sh -c 'head -c 100000000 /dev/zero >/filler 2>/dev/null; seq 100000; echo end' | tail -n 1
        run create --network none --name new -v new:/data box:1 true 2>&1 && echo made || echo refused
        run volume create another 2>&1 && echo made || echo refused
        run start idle 2>&1 && echo started || echo not started
        run rm kept
        run ps -a --format '{{{{.Names}}}}'
        run start -a idle && echo started
        run container prune -f >/dev/null
        run volume ls -q
        find {runtime.root}/containers {runtime.root}/volumes -name '.*'
        ls {runtime.root}/pins
        run run --rm --network none box:1 echo fine
        """,
    )  # fmt: skip
    lines = found.splitlines()
    assert lines[0] == "end", found
    for number in (1, 3):
        assert "No space left" in lines[number] and lines[number + 1] == "refused", found
    assert lines[5:7] == ["idle", "started"] or ("No space left" in lines[5] and lines[6] == "not started"), found
    assert lines[7:] == ["kept", "idle", "started", "kept", "fine"], found


def test_half_an_event_is_none(runtime: Runtime) -> None:
    runtime.output("box:1", "true")
    path = runtime.state / "events"
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: len(whole) // 3].rpartition(b"\n")[2] + b"\n[]\n")
    runtime.output("box:1", "true")
    found = runtime.do("events", "--since", "1h", "--until", "0s", "--format", "{{.Action}}").split()
    assert found == ["create", "start", "die", "destroy"] * 2
