"""The copy module: what it answers to the action on the controller, and what lands on the disk."""

import hashlib
import os
from pathlib import Path

import pytest
from module_cases import Case, Dir, File, Link, Step, check, snapshot

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")
SMALL = 16 * 1024


def sha1(data):
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


def action(run, at_once=False):
    """The controller's half: `_data` is the content, `_name` the name of the file it comes from."""

    def play(module, args, check=False, diff=False):
        args = dict(args)
        if module != "copy" or args.get("remote_src"):
            return run(module, args, check, diff)
        data = args.pop("_data").encode()
        name = args.pop("_name", "name")
        args.update(_checksum=sha1(data), _size=len(data), _original_basename=name, src="/ctl/" + name)
        result = run(module, args, check, diff, data if at_once else None)
        if result.get("need") == "content":
            assert not at_once
            result = run(module, args, check, diff, data)
        assert "need" not in result
        return result

    return play


def oracle_action(oracle, folder):
    """The same for ansible-core's module, whose action asks `stat` first and calls `file` when nothing differs."""

    def play(module, args, check=False, diff=False):
        args = dict(args)
        if module != "copy" or args.get("remote_src"):
            return oracle(module, args, check, diff)
        data = args.pop("_data").encode()
        name = args.pop("_name", "name")
        dest = args["dest"]
        if dest.endswith("/") or os.path.isdir(dest):
            dest = os.path.join(dest, name)
        exists = os.path.exists(dest)
        if exists and args.get("force") is False:
            return {"changed": False, "dest": dest, "src": "/ctl/" + name}
        same = exists and (args.get("follow") or not os.path.islink(dest))
        if same and sha1(Path(dest).read_bytes()) == sha1(data):
            dropped = ("checksum", "force", "backup", "validate", "directory_mode", "dest")
            kept = {key: value for key, value in args.items() if key not in dropped}
            path = os.path.realpath(dest) if args.get("follow") else dest
            result = oracle("file", dict(kept, path=path, state="file"), check, diff)
            return dict(result, dest=path, checksum=sha1(data))
        if check:
            return {"changed": True}
        source = folder / "source"
        source.write_bytes(data)
        args.setdefault("checksum", sha1(data))
        return oracle("copy", dict(args, src=str(source), _original_basename=name), check, diff)

    return play


def ironed(result, step):
    """Without what only the action or only one side adds: diffs are tested below, `src` is a temporary path."""
    result.pop("src", None) if not step.args.get("remote_src") else None
    if "path" not in result or result["failed"]:
        result.pop("diff", None)
    if result["failed"]:
        for key in ("path", "details", "uid", "gid", "owner", "group", "mode", "size", "state"):
            result.pop(key, None)
    if step.check and result["changed"]:
        return {"changed": True, "failed": False}
    return result


def ours(result, step):
    return ironed(result, step)


def step(check=False, diff=False, **args):
    return Step("copy", args, check, diff)


def twice(**args):
    return [step(check=True, **args), step(**args), step(**args)]


TREE = {"f": "old\n", "d/x": File("x", 0o600), "l": Link("f"), "b": Link("gone"), "dl": Link("d")}
PLAIN = {"s/a": File("a\n", 0o600, 1, 1), "s/sub/b": File("b\n", 0o755), "s/sub/deep": Dir(0o711)}
SOURCE = {**PLAIN, "s/l": Link("a"), "s/dl": Link("sub")}  # ansible-core loses the links in some of the ways
CASES = [
    Case("new", {}, twice(dest="@/n", _data="new\n")),
    Case("new with attributes", {}, twice(dest="@/n", _data="new\n", mode="0604", owner="daemon", group="daemon")),
    Case("new with symbolic mode", {}, twice(dest="@/n", _data="new\n", mode="u=rwX,g=u,o=")),
    Case("other content", TREE, twice(dest="@/f", _data="new\n")),
    Case("other content keeps mode", {"f": File("o", 0o640, 1, 2)}, twice(dest="@/f", _data="new\n")),
    Case("other mode", TREE, twice(dest="@/f", _data="old\n", mode="0600", owner="1")),
    Case("empty", TREE, twice(dest="@/f", _data="")),
    Case("into directory", TREE, twice(dest="@/d", _data="new\n", _name="y")),
    Case("into directory slash", TREE, twice(dest="@/d/", _data="new\n", _name="x")),
    Case("into linked directory", TREE, twice(dest="@/dl", _data="new\n", _name="x")),
    Case(
        "into new directories", {}, twice(dest="@/p/q/", _data="new\n", directory_mode="0711", owner="1", mode="0600")
    ),
    Case("no directory", {}, [step(dest="@/p/q", _data="new\n")]),
    Case("no directory, checked", {}, [step(dest="@/p/q", _data="new\n", check=True)]),
    Case("force no, there", TREE, twice(dest="@/f", _data="new\n", force=False, mode="0600")),
    Case("force no, not there", TREE, twice(dest="@/n", _data="new\n", force=False, mode="0600")),
    Case("link replaced", TREE, twice(dest="@/l", _data="new\n")),
    Case("link replaced, same content", TREE, twice(dest="@/l", _data="old\n")),
    Case("link followed", TREE, twice(dest="@/l", _data="new\n", follow=True)),
    Case("link followed, same content", TREE, twice(dest="@/l", _data="old\n", follow=True, mode="0600")),
    Case("broken link", TREE, twice(dest="@/b", _data="new\n")),
    Case("broken link followed", TREE, twice(dest="@/b", _data="new\n", follow=True)),
    Case("hard link", TREE, twice(dest="@/h", _data="new\n"), {"h": "f"}),
    Case("backup", TREE, twice(dest="@/f", _data="new\n", backup=True)),
    Case("backup of nothing", TREE, twice(dest="@/n", _data="new\n", backup=True)),
    Case("backup keeps attributes", {"f": File("o", 0o640, 1, 2)}, twice(dest="@/f", _data="new\n", backup=True)),
    Case("valid", TREE, twice(dest="@/f", _data="new\n", validate="grep -q new %s")),
    Case("invalid", TREE, [step(dest="@/f", _data="new\n", validate="sh -c 'echo no; echo bad >&2; exit 3' %s")]),
    Case("validate without %s", TREE, twice(dest="@/f", _data="new\n", validate="true")),
    Case("right checksum", TREE, twice(dest="@/f", _data="new\n", checksum=sha1(b"new\n"))),
    Case("wrong checksum", TREE, [step(dest="@/f", _data="new\n", checksum="0" * 40)]),
    Case("remote", TREE, twice(dest="@/n", src="@/f", remote_src=True)),
    Case("remote keeps dest", TREE, twice(dest="@/d/x", src="@/f", remote_src=True)),
    Case("remote preserve", TREE, twice(dest="@/f", src="@/d/x", remote_src=True, mode="preserve")),
    Case("remote preserve same", TREE, twice(dest="@/y", src="@/d/x", remote_src=True, mode="preserve")),
    Case("remote into directory", TREE, twice(dest="@/d", src="@/f", remote_src=True, owner="1")),
    Case("remote into new directory", TREE, twice(dest="@/p/q/", src="@/f", remote_src=True, mode="0600")),
    Case("remote of link", TREE, twice(dest="@/n", src="@/l", remote_src=True)),
    Case("remote over link", TREE, twice(dest="@/l", src="@/d/x", remote_src=True)),
    Case("remote missing", TREE, [step(dest="@/n", src="@/no", remote_src=True), step(dest="@/n", remote_src=True)]),
    Case("remote no directory", TREE, [step(dest="@/no/n", src="@/f", remote_src=True)]),
    Case("remote force no", TREE, twice(dest="@/f", src="@/d/x", remote_src=True, force=False)),
    Case("remote wrong checksum", TREE, [step(dest="@/n", src="@/f", remote_src=True, checksum="0" * 40)]),
    Case("remote backup", TREE, twice(dest="@/f", src="@/d/x", remote_src=True, backup=True)),
    Case("remote invalid", TREE, [step(dest="@/n", src="@/f", remote_src=True, validate="false %s")]),
    Case("remote keeps no owner", {**TREE, "g": File("g", 0o640, 1, 1)}, twice(dest="@/g", src="@/f", remote_src=True)),
    Case("remote tree", PLAIN, twice(src="@/s", dest="@/n", remote_src=True)),
    Case("remote tree slash", SOURCE, twice(src="@/s/", dest="@/n", remote_src=True)),
    Case("remote tree preserve", SOURCE, twice(src="@/s/", dest="@/n", remote_src=True, mode="preserve")),
    Case(
        "remote tree mode", SOURCE, twice(src="@/s/", dest="@/n", remote_src=True, mode="0705", directory_mode="0755")
    ),
    Case("remote tree owner", SOURCE, twice(src="@/s/", dest="@/n", remote_src=True, owner="daemon", group="bin")),
    Case("remote tree, there", {**SOURCE, "n": Dir(0o700)}, twice(src="@/s", dest="@/n", remote_src=True)),
    Case("remote tree slash, there", {**PLAIN, "n": Dir(0o700)}, twice(src="@/s/", dest="@/n", remote_src=True)),
    Case(
        "remote tree differs",
        {**PLAIN, "n/a": File("q", 0o644), "n/z": "z"},
        twice(src="@/s/", dest="@/n", remote_src=True),
    ),
    Case("remote tree into new", SOURCE, twice(src="@/s", dest="@/n/", remote_src=True)),
    Case("remote tree no directory", SOURCE, [step(src="@/s", dest="@/n/m", remote_src=True)]),
    Case("remote tree force no", {**SOURCE, "n/s": Dir()}, [step(src="@/s", dest="@/n", remote_src=True, force=False)]),
    Case("remote tree follow", SOURCE, twice(src="@/s/", dest="@/n", remote_src=True, local_follow=True)),
]


@needs_root
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_as_ansible(case, scratch, run, oracle, tmp_path):
    theirs = oracle and oracle_action(oracle, tmp_path)
    check(case, "copy", scratch, action(run), theirs, ours=ours, theirs=ironed)


def test_a_content_that_came_at_once_needs_no_second_question(scratch, run):
    play = action(run, at_once=True)
    assert play("copy", {"_data": "x\n", "dest": f"{scratch}/n"})["changed"]
    assert not play("copy", {"_data": "x\n", "dest": f"{scratch}/n"})["changed"]


def test_content_goes_into_no_directory(scratch, run):
    args = {"dest": str(scratch), "_checksum": sha1(b"x"), "_size": 1}
    assert run("copy", args, upload=b"x")["msg"] == "can not use content with a dir as dest"


def test_a_content_that_broke_on_its_way_is_not_taken(scratch, run):
    (scratch / "f").write_text("old")
    args = {"dest": f"{scratch}/f", "src": "/ctl/f", "_checksum": sha1(b"whole"), "_size": 5}
    result = run("copy", args, upload=b"who")
    assert result["failed"] and result["checksum"] == sha1(b"who") and result["expected_checksum"] == sha1(b"whole")
    assert (scratch / "f").read_text() == "old" and os.listdir(scratch) == ["f"]


def test_a_large_content_is_asked_for(scratch, run):
    data = bytes(range(256)) * 4096 * 16
    args = {"dest": f"{scratch}/f", "src": "/ctl/f", "_checksum": sha1(data), "_size": len(data)}
    assert run("copy", args, check=True) == {
        "changed": True,
        "dest": f"{scratch}/f",
        "src": "/ctl/f",
        "checksum": sha1(data),
    }
    assert run("copy", args) == {"changed": False, "need": "content"}
    assert run("copy", args, upload=data)["size"] == len(data)
    assert not run("copy", args)["changed"]


HEADERS = {"before_header": "<root>/f", "after_header": "/ctl/name"}
DIFFS = [
    ("text", "old\n", "new\n", {"before": "old\n", "after": "new\n", **HEADERS}),
    ("new", None, "new\n", {"before": "", "after": "new\n", "after_header": "/ctl/name"}),
    ("from binary", "a\0b", "new\n", {"dst_binary": 1, "after": "new\n", "after_header": "/ctl/name"}),
    ("to binary", "old\n", "a\0b", {"before": "old\n", "before_header": "<root>/f", "src_binary": 1}),
    ("from large", "o" * 104449, "n", {"dst_larger": 104448, "after": "n", "after_header": "/ctl/name"}),
    ("to large", "o", "n" * 104449, {"before": "o", "before_header": "<root>/f", "src_larger": 104448}),
]


@pytest.mark.parametrize(("old", "new", "expected"), [row[1:] for row in DIFFS], ids=[row[0] for row in DIFFS])
def test_diff(scratch, run, old, new, expected):
    """As ansible-core's action shows it; the same in check mode."""
    expected = {
        key: str(value).replace("<root>", str(scratch)) if "header" in key else value for key, value in expected.items()
    }
    for checked in (True, False):
        if old is not None:
            (scratch / "f").write_text(old)
        result = action(run)("copy", {"_data": new, "dest": f"{scratch}/f"}, check=checked, diff=True)
        assert result["changed"] and result["diff"] == [expected]
    assert "diff" not in action(run)("copy", {"_data": "other", "dest": f"{scratch}/f"})


def test_diff_of_attributes(scratch, run):
    (scratch / "f").write_text("old\n")
    args = {"_data": "new\n", "dest": f"{scratch}/f", "mode": "0600"}
    for checked in (True, False):
        diff = action(run)("copy", args, check=checked, diff=True)["diff"]
        assert diff[1]["before"] == {"mode": "0644"} and diff[1]["after"] == {"mode": "0600"}


def test_diff_of_a_new_file_tells_of_no_attributes_before(scratch, run):
    args = {"_data": "new\n", "dest": f"{scratch}/f", "mode": "0600"}
    for checked in (True, False):
        assert len(action(run)("copy", args, check=checked, diff=True)["diff"]) == 1


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
