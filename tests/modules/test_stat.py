"""stat, slurp and tempfile."""

import base64
import os
import stat

import pytest
from module_cases import Case, Dir, File, Link, Step, check

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")
VOLATILE = ("inode", "dev", "ctime", "version", "block_size", "blocks")


def step(**args):
    return Step("stat", args, diff=False)


FILES = {
    "f": "hello\n",
    "set": File("x", 0o6711),
    "owned": File("x", 0o604, 1, 1),
    "nobody's": File("x", 0o644, 54321, 54321),
    "d": Dir(0o1770),
    "l": Link("f"),
    "up": Link("d/../f"),
    "b": Link("gone"),
    "utf-8": "Grüße\n",
    "binary": b"\0\1\xff" * 10,
    "empty": "",
    "a,b: c": "#!/bin/sh\n",
    "new\nline": "x\n",
    "-dash": "x\n",
}
CASES = [
    *(Case(name, FILES, [step(path=f"@/{name}")]) for name in [*FILES, "missing"]),
    Case("without", FILES, [step(path="@/f", get_checksum=False, get_mime=False, get_attributes=False)]),
    *(
        Case(algorithm, FILES, [step(path="@/f", checksum_algorithm=algorithm, get_mime=False, get_attributes=False)])
        for algorithm in ("md5", "sha224", "sha256", "sha384", "sha512")
    ),
    Case("follow", FILES, [step(path="@/l", follow=True, get_mime=False, get_attributes=False)]),
    Case("follow broken", FILES, [step(path="@/b", follow=True)]),
    Case("below a file", FILES, [step(path="@/f/x")]),
    Case("device", FILES, [step(path="/dev/null")]),
    Case("slurp", FILES, [Step("slurp", {"src": f"@/{name}"}) for name in ("f", "binary", "l", "d", "missing", "b")]),
]


def ironed(result, step):
    found = result.get("stat", {})
    for key in VOLATILE:
        found.pop(key, None)
    if "attr_flags" in found:  # ext4 keeps files in extents and says so
        found["attr_flags"] = found["attr_flags"].replace("e", "")
        found["attributes"] = [name for name in found["attributes"] if name != "extents"]
    if found.get("isdir") or found.get("ischr"):
        found.pop("size", None)
    return result


ours = ironed


@needs_root
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_as_ansible(case, scratch, run, oracle):
    check(case, "stat", scratch, run, oracle, ours=ironed, theirs=ironed)


def test_a_link_that_is_followed_is_told_from_its_target(scratch, run):
    (scratch / "f").write_text("x\n")
    (scratch / "l").symlink_to("f")
    found = run("stat", {"path": f"{scratch}/l", "follow": True})["stat"]
    assert found["isreg"] and found["mimetype"] in ("text/plain", "unknown")


def test_a_large_file_is_digested_in_pieces(scratch, run):
    with open(scratch / "f", "wb") as stream:
        stream.truncate(1 << 30)  # a hole: takes no room
    result = run("stat", {"path": f"{scratch}/f", "get_mime": False, "get_attributes": False})
    assert result["stat"]["checksum"] == "2a492f15396a6768bcbca016993f4b4c8b0b5307"


def test_names_that_are_no_text(scratch, run):
    name = b"\xff\xfe-" + "é".encode("latin-1")
    (scratch / os.fsdecode(name)).write_text("x")
    path = os.fsdecode(os.fsencode(f"{scratch}/") + name)
    assert run("stat", {"path": path})["stat"]["size"] == 1
    assert base64.b64decode(run("slurp", {"src": path})["content"]) == b"x"
    assert run("file", {"path": path, "mode": "0600"})["mode"] == "0600"
    assert run("lineinfile", {"path": path, "line": "y", "backup": True})["changed"]
    assert run("file", {"path": path, "state": "absent"})["changed"]


@pytest.mark.parametrize("state", ["file", "directory"])
def test_a_temporary_path_is_new_and_closed_to_others(scratch, run, state):
    args = {"state": state, "path": str(scratch), "prefix": "pre-", "suffix": ".post"}
    first, second = run("tempfile", args), run("tempfile", args)
    assert first["changed"] and first["path"] != second["path"]
    name = os.path.basename(first["path"])
    assert name.startswith("pre-") and name.endswith(".post")
    mode = os.lstat(first["path"]).st_mode
    assert stat.S_IMODE(mode) == (0o600 if state == "file" else 0o700)
    assert first["state"] == state and first["mode"] == ("0600" if state == "file" else "0700")


def test_a_temporary_path_needs_its_directory(scratch, run):
    result = run("tempfile", {"path": f"{scratch}/no"})
    assert result["failed"] and "No such file or directory" in result["msg"]


def test_no_temporary_path_in_check_mode(scratch, run):
    assert run("tempfile", {"path": str(scratch)}, check=True)["skipped"]
    assert list(scratch.iterdir()) == []
