"""Files are either old or new, whatever goes wrong; and what they inherit from the file that was there."""

import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from shepherd.spec import load_spec

ROOT = Path(__file__).parent.parent.parent
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: mounts, other users")

# Runs one module, as another user if told to: {"module", "args", "upload", "uid"} on stdin; prints the result.
ALONE = """
import importlib, io, json, os, sys
sys.path.insert(0, sys.argv[1])
request = json.load(sys.stdin)
from shepherd.remote.task import Failure, Task
module = importlib.import_module("modules." + request["module"])
if request["uid"]:
    os.setgroups([])
    os.setgid(request["uid"])
    os.setuid(request["uid"])
upload = request["upload"]
task = Task(request["args"], upload=None if upload is None else io.BytesIO(upload.encode()))
try:
    result = module.run(task)
except Failure as failure:
    result = dict(failure.result, failed=True)
print(json.dumps(result))
"""


def alone(prepare, module, args, upload=None, uid=None, after=""):
    """Run a module between two shell commands, in a mount namespace of their own: its result, what `after` printed."""
    private = {name: value for name, value in args.items() if name.startswith("_")}
    given = load_spec(module).normalise({name: value for name, value in args.items() if name not in private})
    request = json.dumps({"module": module, "args": {**given, **private}, "upload": upload, "uid": uid})
    python = os.environ.get("SHEPHERD_TARGET_PYTHON", sys.executable)
    argv = ["unshare", "--mount", "sh", "-ec", f'{prepare}\n"$@"\n{after}', "sh", python, "-B", "-c", ALONE, str(ROOT)]
    done = subprocess.run(argv, input=request, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    result, _, shown = done.stdout.partition("\n")
    return json.loads(result), shown


def content(data):
    return {
        "_checksum": hashlib.sha1(data, usedforsecurity=False).hexdigest(),
        "_size": len(data),
        "_original_basename": "f",
    }


@needs_root
@pytest.mark.parametrize("module", ["copy", "lineinfile", "backup"])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(scratch, module):
    prepare = f"mount -t tmpfs -o size=64k none {scratch}; echo old > {scratch}/f"
    big = "x" * 200_000
    args, upload = {"path": f"{scratch}/f", "line": big}, None
    if module != "lineinfile":
        args, upload = {"dest": f"{scratch}/f", **content(big.encode())}, big
    if module == "backup":  # of a file that fills the disk
        prepare += f"; head -c 40000 /dev/zero > {scratch}/f"
        args.update(content(b"y"), backup=True)
        upload = "y"
    result, shown = alone(
        prepare,
        "lineinfile" if module == "lineinfile" else "copy",
        args,
        upload,
        after=f"cd {scratch}; ls -A; wc -c < f",
    )
    assert result["failed"] and "No space left" in result["msg"]
    assert shown.split() == ["f", "40000" if module == "backup" else "4"]


@needs_root
def test_a_mount_point_is_only_written_in_place_when_asked(scratch):
    target = scratch / "f"
    target.write_text("old\n")
    inode = target.stat().st_ino
    prepare = f"mount --bind {target} {target}"
    args = {"path": str(target), "line": "new"}
    result, _ = alone(prepare, "lineinfile", args)
    assert result["failed"] and "Could not replace file" in result["msg"]
    assert target.read_text() == "old\n"
    assert os.listdir(scratch) == ["f"]
    result, _ = alone(prepare, "lineinfile", {**args, "unsafe_writes": True, "mode": "0600"})
    assert result["changed"]
    assert target.read_text() == "old\nnew\n"
    assert target.stat().st_ino == inode and stat.S_IMODE(target.stat().st_mode) == 0o600
    assert os.listdir(scratch) == ["f"]


@needs_root
def test_a_file_in_a_directory_that_is_not_ours(scratch):
    target = scratch / "f"
    target.write_text("old\n")
    os.chown(target, 65534, 65534)
    scratch.chmod(0o755)
    args = {"path": str(target), "line": "new"}
    result, _ = alone("", "lineinfile", args, uid=65534)
    assert result["failed"] and f"The destination directory ({scratch}) is not writable" in result["msg"]
    result, _ = alone("", "copy", {"dest": str(target), **content(b"x")}, upload="x", uid=65534)
    assert result["failed"] and result["msg"] == f"Destination {scratch} not writable"
    assert target.read_text() == "old\n"
    result, _ = alone("", "lineinfile", {**args, "unsafe_writes": True}, uid=65534)
    assert result["changed"] and target.read_text() == "old\nnew\n"


@needs_root
def test_an_owner_who_cannot_be_kept_takes_the_set_id_bits_along(scratch):
    scratch.chmod(0o777)
    target = scratch / "f"
    target.write_text("old\n")
    target.chmod(0o6755)
    result, _ = alone("", "lineinfile", {"path": str(target), "line": "new"}, uid=65534)
    assert result["changed"]
    found = target.stat()
    assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (65534, 0o755)


def test_a_task_that_is_ended_leaves_the_old_file_and_nothing_else(scratch, run):
    (scratch / "f").write_text("old\n")
    args = {"path": f"{scratch}/f", "line": "new", "validate": "sh -c 'sleep 60' %s"}
    result = run("lineinfile", args, timeout=0.3)
    assert result["failed"] and result["timedout"]
    assert os.listdir(scratch) == ["f"] and (scratch / "f").read_text() == "old\n"


def test_a_draft_is_closed_to_others(scratch, run):
    (scratch / "f").write_text("old\n")
    show = "sh -c 'stat -c %%a $0; echo $0; exit 1' %s"
    result = run("copy", {"dest": f"{scratch}/f", "validate": show, **content(b"new\n")}, upload=b"new\n")
    mode, path = result["stdout"].split()
    assert result["failed"] and mode == "600" and os.path.dirname(path) == str(scratch)
    assert os.listdir(scratch) == ["f"] and (scratch / "f").read_text() == "old\n"


def test_who_has_the_old_file_open_keeps_it(scratch, run):
    (scratch / "f").write_text("old\n")
    with open(scratch / "f") as reader:
        assert run("lineinfile", {"path": f"{scratch}/f", "line": "new"})["changed"]
        assert reader.read() == "old\n"


@pytest.mark.parametrize("module", ["lineinfile", "copy"])
def test_extended_attributes_and_acl_stay(scratch, run, module):
    target = scratch / "f"
    target.write_text("old\n")
    try:
        os.setxattr(target, "user.test", b"kept")
    except OSError:
        pytest.skip("this file system has no extended attributes")
    if shutil.which("setfacl"):
        subprocess.run(["setfacl", "-m", "u:daemon:rw", target], check=True)
    before = {name: os.getxattr(target, name) for name in os.listxattr(target)}
    if module == "copy":
        assert run("copy", {"dest": str(target), "backup": True, **content(b"new\n")}, upload=b"new\n")["changed"]
    else:
        assert run("lineinfile", {"path": str(target), "line": "new", "backup": True})["changed"]
    for name in os.listdir(scratch):  # the backup, too
        path = scratch / name
        assert {name: os.getxattr(path, name) for name in os.listxattr(path)} == before


def test_a_backup_keeps_the_times_and_drops_the_set_id_bits(scratch, run):
    target = scratch / "f"
    target.write_text("old\n")
    target.chmod(0o4750)
    os.utime(target, ns=(10**18, 10**18 + 7))
    backup = run("lineinfile", {"path": str(target), "line": "new", "backup": True})["backup"]
    found = os.stat(backup)
    assert found.st_mtime_ns == 10**18 + 7 and stat.S_IMODE(found.st_mode) == 0o750
    assert stat.S_IMODE(target.stat().st_mode) == 0o4750


def test_a_new_owner_does_not_get_set_id_bits(scratch, run):
    if os.geteuid() != 0:
        pytest.skip("needs root to give files away")
    target = scratch / "f"
    target.write_text("old\n")
    target.chmod(0o4755)
    run("lineinfile", {"path": str(target), "line": "new", "owner": "daemon"})
    assert stat.S_IMODE(target.stat().st_mode) == 0o755


def test_flags(scratch, run):
    target = scratch / "f"
    target.write_text("x\n")
    if not shutil.which("lsattr") or subprocess.run(["chattr", "+d", target], capture_output=True).returncode:
        pytest.skip("this file system has no flags")
    subprocess.run(["chattr", "-d", target], check=True)
    args = {"path": str(target)}
    assert run("file", {**args, "attributes": "+d"}, check=True)["changed"]
    result = run("file", {**args, "attributes": "+d"}, diff=True)
    assert result["changed"] and result["diff"]["after"]["attributes"] == "+d"
    assert not run("file", {**args, "attributes": "+d"})["changed"]
    assert "d" in run("stat", args)["stat"]["attr_flags"]
    assert run("lineinfile", {**args, "line": "new", "attributes": "+d"})["changed"], "a new file has lost its flags"
    assert "nodump" in run("stat", args)["stat"]["attributes"]
    assert run("file", {**args, "attributes": "-d"})["changed"]
    assert not run("file", {**args, "attributes": "-d"})["changed"]
    assert run("file", {**args, "attributes": "+?"})["msg"] == "chattr failed"


def test_an_immutable_file_is_made_in_one_step(scratch, run):
    target = scratch / "f"
    if os.geteuid() != 0 or not shutil.which("chattr"):
        pytest.skip("needs root and chattr")
    try:
        result = run("copy", {"dest": str(target), "attributes": "+i", **content(b"x")}, upload=b"x")
        if result.get("msg") == "chattr failed":
            pytest.skip("this file system has no flags")
        assert "i" in run("stat", {"path": str(target)})["stat"]["attr_flags"]
        result = run("copy", {"dest": str(target), **content(b"y")}, upload=b"y")
        assert result["failed"] and "Could not replace file" in result["msg"]
        assert target.read_text() == "x" and os.listdir(scratch) == ["f"]
    finally:
        subprocess.run(["chattr", "-i", target], check=False, capture_output=True)
