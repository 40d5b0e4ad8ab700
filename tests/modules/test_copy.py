"""The copy module: what it answers to the action on the controller, and what lands on the disk."""

import os
from pathlib import Path

import pytest
from copying import needs_root, sha1
from module_cases import Case, Dir, File, Link, Step, check

SMALL = 16 * 1024


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
