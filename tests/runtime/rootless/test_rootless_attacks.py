"""Attacks on and by ordinary users' containers: maps of ids, folders of state, control groups."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import subprocess
from pathlib import Path

import pytest
from people import FIRST, IDS, SUBORDINATE, processes

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("rootless")]  # one worker makes what all of it needs
MOUNTS = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
UNIFIED = next((Path(words[1]) for words in MOUNTS if words[2] == "cgroup2"), None)


def maps(pid, kind):
    return [tuple(map(int, line.split())) for line in Path(f"/proc/{pid}/{kind}_map").read_text().splitlines()]


# Maps of ids


def test_the_maps_are_the_users_own_ids_and_nothing_else(user):
    user.do("run", "-d", "--name", "one", "box:1", "sleep", "1000")
    wanted = [(0, user.number, 1)] + ([(1, FIRST, 65536)] if user.has_ids else [])
    for kind in ("uid", "gid"):
        assert maps(user.keeper(), kind) == wanted


def test_groups_cannot_be_left_without_subordinate_ids(dave):
    """A group may be there to keep its members from something: who could leave it would get at that."""
    dave.do("run", "-d", "--name", "one", "box:1", "sleep", "1000")
    assert Path(f"/proc/{dave.keeper()}/setgroups").read_text() == "deny\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SUBORDINATE + f"other:{FIRST + 65535}:10\n", "those of other"),
        (f"carol:{IDS['carol'] - 10}:65536\n", "the user as such"),
        ("carol:0:65536\n", "no subordinate ids"),
        (SUBORDINATE + f"carol:{FIRST + 100}:5\n", "some ids twice"),
        (f"carol:{FIRST}:99999999999\n", "no subordinate ids"),
    ],
    ids=["another's", "the user's own", "root's", "twice", "too many"],
)
def test_ids_that_are_also_those_of_others_are_refused(carol, text, said):
    with carol.machine.subordinate(text):
        done = carol.verb("run", "--rm", "box:1", "true")
    assert done.returncode == 1
    assert said in done.stderr
    assert not carol.others()


def test_ids_of_another_user_are_not_given(dave):
    """Only the lines of /etc/subuid that begin with the user's own name or number are this user's."""
    with dave.machine.subordinate(SUBORDINATE + "davey:4000000:65536\ndave :5000000:10\n#dave:1:2\ndave:x:2\n"):
        dave.do("run", "-d", "--name", "one", "box:1", "sleep", "1000")
        assert maps(dave.keeper(), "uid") == [(0, dave.number, 1)]


def test_a_namespace_of_another_user_is_not_joined(carol, dave):
    dave.do("run", "-d", "--name", "one", "box:1", "sleep", "1000")
    pid = dave.keeper()
    began = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    carol.do("run", "--rm", "box:1", "true")
    own = carol.seen(carol.state / "keeper").read_text()
    carol.write(carol.state / "keeper", f"{pid} {began}\n")
    try:
        done = carol.verb("run", "--rm", "box:1", "true")
        assert done.returncode == 1
        assert "user namespace of process" in done.stderr
    finally:
        carol.write(carol.state / "keeper", own)


def test_what_belongs_to_nobody_inside_belongs_to_nobody_inside(user):
    """root of the namespace has no rights over the machine's files, nor over those of the machine's root."""
    secret = user.machine.place / "secret"
    secret.write_text("not yours")
    secret.chmod(0o600)
    attempt = "cat /mnt/secret; echo x > /mnt/secret; chown 0:0 /mnt/secret; chmod 666 /mnt/secret; mknod /node b 8 0"
    done = user.verb("run", "--rm", "-v", f"{user.machine.place}:/mnt", "box:1", "sh", "-c", attempt)
    assert done.stderr.count("Permission denied") + done.stderr.count("not permitted") == 5, done.stderr
    found = secret.stat()
    assert (secret.read_text(), found.st_uid, stat.S_IMODE(found.st_mode)) == ("not yours", 0, 0o600)


def test_a_set_id_file_is_never_one_of_the_machines(carol):
    """What the container makes setuid root is the user's outside, and within folders that nobody else enters."""
    carol.do("run", "-d", "--name", "one", "box:1", "sh", "-c", "cp /bin/busybox /suid; chmod 6755 /suid; sleep 1000")
    carol.until(lambda: carol.do("exec", "one", "ls", "/suid") == "/suid\n")
    found = carol.call("sh", "-c", "find ~/.local/share/shepherd -name suid -printf '%U %m %p\\n'").stdout.split()
    assert found[:2] == [str(carol.number), "6755"]
    other = subprocess.run(
        carol.machine.inside("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--", "ls", found[2]),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Permission denied" in other.stderr


# Control groups (CVE-2023-25809)

WRITES = (
    "find /sys/fs/cgroup /sys -maxdepth 3 -type d 2>/dev/null | while read place; do"
    " mkdir $place/escaped 2>/dev/null && echo made $place;"
    " for name in cgroup.procs cgroup.freeze cgroup.subtree_control tasks; do"
    "  [ -e $place/$name ] && (echo 0 > $place/$name) 2>/dev/null && echo wrote $place/$name; done; done; echo end"
)


@pytest.mark.parametrize("network", ["host", "bridge"])
def test_control_groups_cannot_be_written_to(user, network):
    with delegated(user) as begin:
        assert user.do("run", "--rm", "--network", network, "box:1", "sh", "-c", WRITES, **begin) == "end\n"


def test_a_delegated_group_is_used_and_left(user):
    with delegated(user) as begin:
        if not begin:
            pytest.skip("this machine has no version 2 of control groups")
        name = user.do("run", "-d", "--name", "one", "box:1", "sleep", "1000", **begin).strip()
        pid = int(user.do("inspect", "-f", "{{.State.Pid}}", "one"))
        assert f"/shepherd/{name}" in Path(f"/proc/{pid}/cgroup").read_text()
        user.do("pause", "one")
        assert "(Paused)" in user.do("ps")
        user.do("unpause", "one")
        assert "sleep" in user.do("top", "one")
        user.do("rm", "-f", "one")


@contextlib.contextmanager
def delegated(user):
    """What makes a command begin in a group of version 2 below one that is the user's; the groups go afterwards."""
    if UNIFIED is None:
        yield {}
        return
    top = UNIFIED / f"shepherd-rootless-{os.getpid()}"
    leaf = top / "leaf"
    leaf.mkdir(parents=True)
    for folder in (top, leaf):
        for path in (folder, *folder.glob("cgroup.*")):
            os.chown(path, user.number, user.number)

    def begin():
        (leaf / "cgroup.procs").write_text("0")

    try:
        yield {"preexec_fn": begin}
    finally:
        user.end()
        user.forget_keeper()  # it may have begun in there
        for folder in sorted(top.rglob("*/"), reverse=True):
            folder.rmdir()
        top.rmdir()


# Folders and sockets


def test_nobody_else_enters_the_folders(carol, dave):
    for user, other in ((carol, dave), (dave, carol)):
        user.do("run", "-d", "--name", "one", "box:1", "sleep", "1000")
        for place in (user.home / ".local/share/shepherd", user.state):
            assert user.call("stat", "-c", "%a %u", place).stdout == f"700 {user.number}\n"
            assert other.call("ls", place).returncode == 2
    names = Path("/proc/net/unix").read_text()
    assert not [line for line in names.splitlines() if "@" in line and "shepherd" in line]


def test_a_folder_that_somebody_else_made_is_not_used(carol, dave):
    dave.do("ps")
    place = dave.state.parent
    moved = place.with_name("kept")
    for make in (["mkdir", "-m", "777", place], ["ln", "-s", "/home/carol", place]):
        subprocess.run(dave.machine.inside("mv", place, moved), check=True)
        try:
            assert carol.call(*make).returncode == 0
            done = dave.verb("ps")
            assert done.returncode == 1
            assert re.search("is not (a folder of )?this user's", done.stderr)
        finally:
            subprocess.run(dave.machine.inside("rm", "-rf", place), check=True)
            subprocess.run(dave.machine.inside("mv", moved, place), check=True)


def test_the_session_folder_of_another_user_is_not_used(dave):
    environment = dict(dave.environment, XDG_RUNTIME_DIR=f"/run/user/{IDS['carol']}")  # as `su` leaves it
    dave.do("run", "-d", "--name", "one", "box:1", "sleep", "1000", env=environment)
    assert dave.do("ps", "-q").count("\n") == 1


def test_a_container_sees_no_process_of_the_machine_and_ends_none(carol):
    carol.do("run", "-d", "--name", "one", "box:1", "sleep", "1000")
    attempt = f"kill -9 {carol.keeper()}; kill -9 {os.getpid()}; kill -9 -1; echo; ls /proc | grep -c '^[0-9]'"
    carol.verb("run", "--rm", "--network", "host", "box:1", "sh", "-c", attempt)
    assert carol.keeper() in processes(carol.number)
    carol.do("exec", "one", "true")
