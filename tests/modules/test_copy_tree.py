"""Folders that are copied."""

import os

import pytest
from copying import needs_root, sha1
from module_cases import Dir, File, Link, snapshot


class Source:
    """A directory on the controller, and the two requests that bring it to its place."""

    def __init__(self, run, files, prefix="", preserve=False):
        self.run = run
        self.contents = {}
        self.entries = []
        for name, what in files.items():
            relative = prefix + name
            if isinstance(what, Link):
                self.entries.append([relative, "link", None, None, None, what.to])
            elif isinstance(what, Dir):
                self.entries.append([relative, "dir", None, None, None, None])
            else:
                data = what.content.encode()
                mode = f"0{what.mode:o}" if preserve else None
                self.contents[relative] = data
                self.entries.append([relative, "file", mode, sha1(data), len(data), None])
        self.needed = []

    def to(self, dest, again=True, check=False, diff=False, **args):
        args = {"dest": str(dest), "src": "/ctl/tree/", "_tree": self.entries, **args}
        result = self.run("copy", args, check=check, diff=diff)
        self.needed = result.get("need", [])
        if self.needed:
            stream = b"".join(self.contents[name] for name in self.needed)
            more = {"_need": self.needed} if again else {}
            result = self.run("copy", {**args, **more}, check=check, diff=diff, upload=stream)
        return result


FOLDER = {
    "a": File("a\n", 0o600),
    "empty": Dir(),
    "l": Link("a"),
    "s p\nc": File("odd\n", 0o755),
    "sub": Dir(),
    "sub/b": File("b\n"),
    "sub/deep": Dir(),
    "sub/deep/none": File(""),
}


@pytest.mark.parametrize("again", [True, False], ids=["told what was needed", "not told"])
def test_a_tree(scratch, run, again):
    source = Source(run, FOLDER)
    checked = source.to(scratch / "n", check=True)
    assert checked == {"changed": True, "dest": f"{scratch}/n/", "src": "/ctl/tree/"} and not (scratch / "n").exists()
    assert source.to(scratch / "n", again=again) == checked
    assert source.needed == ["a", "s p\nc", "sub/b", "sub/deep/none"]
    assert snapshot(scratch / "n") == {
        "a": ["file", "0o644", os.geteuid(), os.getegid(), "a\n"],
        "empty": ["dir", "0o755", os.geteuid(), os.getegid()],
        "l": ["link", "a"],
        "s p\nc": ["file", "0o644", os.geteuid(), os.getegid(), "odd\n"],
        "sub": ["dir", "0o755", os.geteuid(), os.getegid()],
        "sub/b": ["file", "0o644", os.geteuid(), os.getegid(), "b\n"],
        "sub/deep": ["dir", "0o755", os.geteuid(), os.getegid()],
        "sub/deep/none": ["file", "0o644", os.geteuid(), os.getegid(), ""],
    }
    assert not source.to(scratch / "n")["changed"] and not source.needed
    assert not source.to(scratch / "n", check=True)["changed"]


def test_a_tree_changes_only_what_differs(scratch, run):
    source = Source(run, FOLDER)
    source.to(scratch / "n")
    (scratch / "n/extra").write_text("stays")
    (scratch / "n/sub/b").write_text("x\n")
    (scratch / "n/l").unlink()
    (scratch / "n/l").write_text("in the way")
    kept = (scratch / "n/a").stat().st_ino
    result = source.to(scratch / "n", diff=True, backup=True)
    assert source.needed == ["sub/b"] and sorted(result["diff"]["after"]) == ["l", "sub/b"]
    assert (scratch / "n/sub/b").read_text() == "b\n" and os.readlink(scratch / "n/l") == "a"
    assert (scratch / "n/extra").exists() and (scratch / "n/a").stat().st_ino == kept
    assert [name.startswith("b.") for name in sorted(os.listdir(scratch / "n/sub"))].count(True) == 1


@needs_root
def test_a_tree_with_attributes(scratch, run):
    source = Source(run, FOLDER)
    args = {"mode": "0604", "directory_mode": "0711", "owner": "daemon"}
    source.to(scratch / "p/q", **args)
    found = snapshot(scratch)
    assert {tuple(what[1:3]) for what in found.values() if what[0] == "dir"} == {("0o711", 1)}
    assert {tuple(what[1:3]) for what in found.values() if what[0] == "file"} == {("0o604", 1)}
    assert not source.to(scratch / "p/q", **args)["changed"]
    assert source.to(scratch / "p/q", **{**args, "mode": "0600"}, check=True)["changed"]
    assert source.to(scratch / "p/q", **{**args, "mode": "0600"})["changed"] and not source.needed
    source = Source(run, FOLDER, preserve=True)
    source.to(scratch / "p/q", mode="preserve")
    assert {name: (scratch / "p/q" / name).stat().st_mode & 0o777 for name in ("a", "s p\nc", "sub")} == {
        "a": 0o600,
        "s p\nc": 0o755,
        "sub": 0o711,
    }


def test_a_tree_without_force_only_adds(scratch, run):
    (scratch / "n").mkdir()
    (scratch / "n/a").write_text("other")
    source = Source(run, FOLDER)
    source.to(scratch / "n", force=False, mode="0600")
    assert (scratch / "n/a").read_text() == "other" and (scratch / "n/a").stat().st_mode & 0o777 == 0o644
    assert (scratch / "n/sub/b").read_text() == "b\n"


def test_a_tree_and_links_at_its_place(scratch, run):
    """Links to directories are gone through, as ansible-core does; a link to a file is replaced, or followed."""
    for name in ("n", "elsewhere"):
        (scratch / name).mkdir()
    (scratch / "n/sub").symlink_to("../elsewhere")
    (scratch / "target").write_text("x")
    (scratch / "n/a").symlink_to("../target")
    source = Source(run, FOLDER)
    source.to(scratch / "n")
    assert (scratch / "n/sub").is_symlink() and (scratch / "elsewhere/b").read_text() == "b\n"
    assert not (scratch / "n/a").is_symlink() and (scratch / "target").read_text() == "x"
    (scratch / "n/a").unlink()
    (scratch / "n/a").symlink_to("../target")
    source.to(scratch / "n", follow=True)
    assert (scratch / "n/a").is_symlink() and (scratch / "target").read_text() == "a\n"
    assert not source.to(scratch / "n", follow=True)["changed"]


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "", ".", "a//b"])
def test_a_tree_stays_inside(scratch, run, name):
    (scratch / "n").mkdir()
    result = Source(run, {name: File("x")}).to(scratch / "n")
    assert result["failed"] and "is no path inside a directory" in result["msg"]


def test_a_tree_that_is_in_the_way_of_itself(scratch, run):
    (scratch / "n/a/full").mkdir(parents=True)
    result = Source(run, FOLDER).to(scratch / "n")
    assert result["msg"] == f"can not overwrite directory {scratch}/n/a with a file"
    (scratch / "n/a/full").rmdir()
    (scratch / "n/a").rmdir()
    (scratch / "n/sub").write_text("a file")
    result = Source(run, FOLDER).to(scratch / "n")
    assert result["failed"] and "sub" in result["msg"] and "exception" not in result


def test_a_tree_goes_to_no_file(scratch, run):
    (scratch / "n").write_text("x")
    result = Source(run, FOLDER).to(scratch / "n")
    assert result["failed"] and result["msg"] == f"can not copy a directory to {scratch}/n: it is no directory"
    result = Source(run, FOLDER).to(scratch / "n/below")
    assert result["failed"] and "exception" not in result
    (scratch / "s").mkdir()
    result = run("copy", {"src": f"{scratch}/s/", "dest": f"{scratch}/n", "remote_src": True})
    assert result["failed"] and "exception" not in result


def test_a_tree_whose_content_broke_on_its_way(scratch, run):
    source = Source(run, FOLDER)
    source.contents["sub/b"] = b"broken"
    result = source.to(scratch / "n")
    assert result["failed"] and "does not match the expected checksum" in result["msg"]
    assert not (scratch / "n/sub/b").exists() and (scratch / "n/a").read_text() == "a\n"


def test_a_tree_of_empty_files(scratch, run):
    source = Source(run, {"sub": Dir(), "sub/none": File("")})
    assert source.to(scratch / "n")["changed"] and source.needed == ["sub/none"]
    assert (scratch / "n/sub/none").read_text() == ""


def test_a_tree_that_is_checked_by_a_command(scratch, run):
    source = Source(run, FOLDER)
    result = source.to(scratch / "n", validate="grep -q a %s")
    assert result["failed"] and result["msg"] == "failed to validate"
    assert (scratch / "n/a").exists() and not (scratch / "n/sub/b").exists()
