"""The file module, case by case against what ansible-core answers."""

import os

import pytest
from module_cases import Case, Dir, File, Link, Step, check

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")


def step(check=False, diff=True, **args):
    return Step("file", args, check, diff)


def twice(**args):
    return [step(check=True, **args), step(**args), step(**args)]


TREE = {"d/sub/x": "x", "d/y": File("y", 0o755), "d/l": Link("y"), "f": "text\n", "l": Link("f"), "dl": Link("d")}
P = "@/"
CASES = [
    Case("missing", {}, [step(path="@/no"), step(path="@/no", state="file"), step(path="@/no", state="absent")]),
    Case("directory", {}, twice(path="@/a/b/c", state="directory", mode="0750", owner="daemon")),
    Case("directory symbolic", {}, twice(path="@/a/b", state="directory", mode="u=rwx,g=rX,o=", group="1")),
    Case("directory over file", TREE, twice(path="@/f", state="directory")),
    Case("directory below file", TREE, [step(path="@/f/x", state="directory")]),
    Case("directory over link", TREE, twice(path="@/dl", state="directory", mode="0700")),
    Case("directory over link, no follow", TREE, twice(path="@/dl", state="directory", follow=False)),
    Case("directory over broken link", {"b": Link("gone")}, twice(path="@/b", state="directory")),
    Case("directory slash", {}, twice(path="@/q/", state="directory")),
    Case("recurse", TREE, twice(path="@/d", recurse=True, mode="u=rwX,g=rX,o=")),
    Case("recurse link out", {**TREE, "d/out": Link("../f")}, twice(path="@/d", recurse=True, mode="0700", owner="1")),
    Case(
        "recurse no follow",
        {**TREE, "d/out": Link("../f")},
        twice(path="@/d", recurse=True, mode="0700", owner="1", follow=False),
    ),
    Case("recurse needs directory", TREE, [step(path="@/f", recurse=True), step(path="@/no", recurse=True)]),
    Case("src needs a link", TREE, [step(path="@/f", src="x"), step(path="@/no", src="x", state="touch")]),
    Case("file attributes", TREE, twice(path="@/f", state="file", mode="0604", owner="daemon", group="daemon")),
    Case("file is directory", TREE, [step(path="@/d", state="file"), step(path="@/d")]),
    Case("file over link", TREE, twice(path="@/l", state="file", mode="0600")),
    Case("file over link, no follow", TREE, twice(path="@/l", state="file", mode="0600", follow=False)),
    Case("state of a link", TREE, twice(path="@/l", mode="0600")),
    Case("state of a link, no follow", TREE, twice(path="@/l", owner="daemon", follow=False)),
    Case("mode of a link", TREE, [step(path="@/l", mode="0600", follow=False)]),
    Case("state of a broken link", {"b": Link("gone")}, twice(path="@/b", mode="0600")),
    Case("state of a broken link, no follow", {"b": Link("gone")}, twice(path="@/b", owner="1", follow=False)),
    Case("state of a hard link", TREE, twice(path="@/h", mode="0600"), {"h": "f"}),
    *(
        Case(f"mode {mode!r}", TREE, [step(path="@/f", mode=mode), step(path="@/d", mode=mode)])
        for mode in (0o640, 644, "640", "1777", "04755", "a+x", "u=rw,g=r,o=", "+x", "g+s", "o=g", "u=rwX,go=X")
    ),
    *(
        Case(f"bad mode {mode!r}", TREE, [step(path="@/f", mode=mode), step(path="@/f", mode=mode, check=True)])
        for mode in ("0999", "u=zzz", "preserve", "rwx", "ug", "")
    ),
    *(Case(f"bad {key}", TREE, twice(path="@/f", **{key: "no-such-one"})) for key in ("owner", "group")),
    Case("numeric owner", TREE, twice(path="@/f", owner="12345", group="54321")),
    Case("set-id bits lost by chown", {"f": File("", 0o6755)}, [step(path="@/f", owner="1")]),
    Case("set-id bits kept", {"f": File("", 0o6755)}, [step(path="@/f", owner="1", mode="06755")]),
    Case("link", TREE, twice(path="@/n", src="f", state="link")),
    Case("link absolute", TREE, twice(path="@/n", src="@/f", state="link")),
    Case("link changes", TREE, twice(path="@/l", src="d", state="link")),
    Case(
        "link src missing", TREE, [step(path="@/n", src="no", state="link"), step(path="@/l", src="no", state="link")]
    ),
    Case("link forced", TREE, twice(path="@/n", src="no", state="link", force=True)),
    Case("link forced no follow", TREE, twice(path="@/n", src="no", state="link", force=True, follow=False, owner="1")),
    Case("link without src", TREE, [step(path="@/n", state="link"), step(path="@/l", state="link")]),
    Case("link without src over file", TREE, [step(path="@/f", state="link")]),
    Case("link over file", TREE, twice(path="@/f", src="d", state="link")),
    Case("link over file forced", TREE, twice(path="@/f", src="d", state="link", force=True)),
    Case(
        "link over directory",
        TREE,
        [step(path="@/d", src="../f", state="link"), step(path="@/d", src="f", state="link")],
    ),
    Case("link over directory forced", TREE, twice(path="@/d", src="f", state="link", force=True)),
    Case(
        "link over empty directory forced", {**TREE, "e": Dir()}, twice(path="@/e", src="f", state="link", force=True)
    ),
    Case("link attributes follow", TREE, twice(path="@/n", src="f", state="link", owner="1", mode="0600")),
    Case("link attributes no follow", TREE, twice(path="@/n", src="f", state="link", owner="1", follow=False)),
    Case("link in no directory", TREE, [step(path="@/no/n", src="f", state="link", force=True, follow=False)]),
    Case("link below file", TREE, [step(path="@/f/n", src="f", state="link", force=True)]),
    Case("link over hard link", TREE, twice(path="@/h", src="f", state="link", force=True), {"h": "f"}),
    Case("hard", TREE, twice(path="@/h", src="@/f", state="hard")),
    Case("hard relative", TREE, [step(path="@/h", src="f", state="hard")]),
    Case("hard without src", TREE, [step(path="@/h", state="hard"), step(path="@/f", state="hard")]),
    Case("hard over file", {**TREE, "g": "g"}, twice(path="@/g", src="@/f", state="hard")),
    Case("hard over file forced", {**TREE, "g": "g"}, twice(path="@/g", src="@/f", state="hard", force=True)),
    Case("hard into directory", TREE, twice(path="@/d", src="@/f", state="hard")),
    Case("hard over link", TREE, twice(path="@/l", src="@/d/y", state="hard")),
    Case("hard over link forced", TREE, twice(path="@/l", src="@/d/y", state="hard", force=True)),
    Case("hard of directory", TREE, [step(path="@/z", src="@/d", state="hard")]),
    Case("hard mode", TREE, twice(path="@/h", src="@/f", state="hard", mode="0600")),
    Case("hard over another hard link", {**TREE, "g": "g"}, twice(path="@/h", src="@/g", state="hard"), {"h": "f"}),
    Case("touch new", {}, twice(path="@/t", state="touch", mode="0600")),
    Case("touch preserve", {}, twice(path="@/t", state="touch", access_time="preserve", modification_time="preserve")),
    Case("touch directory", TREE, twice(path="@/d", state="touch")),
    Case("touch link", TREE, twice(path="@/l", state="touch", mode="0600")),
    Case("touch link no follow", TREE, twice(path="@/l", state="touch", follow=False)),
    Case("touch broken link", {"b": Link("gone")}, twice(path="@/b", state="touch")),
    Case("touch in no directory", {}, [step(path="@/no/t", state="touch"), step(path="@/no/", state="touch")]),
    Case("touch hard link", TREE, twice(path="@/h", state="touch"), {"h": "f"}),
    Case("times", TREE, twice(path="@/f", access_time="200001010000.00", modification_time="200101010000.00")),
    Case("times of a format", TREE, twice(path="@/f", modification_time="2020", modification_time_format="%Y")),
    Case("times now", TREE, twice(path="@/f", modification_time="now")),
    Case("times of a directory", TREE, twice(path="@/d", state="directory", modification_time="200001010000.00")),
    Case(
        "times of a tree", TREE, twice(path="@/d", recurse=True, state="directory", modification_time="200001010000.00")
    ),
    Case("times of a link", TREE, twice(path="@/l", state="link", src="f", modification_time="200001010000.00")),
    Case("bad time", TREE, [step(path="@/f", modification_time="2000bogus")]),
    Case("absent file", TREE, twice(path="@/f", state="absent")),
    Case("absent directory", TREE, twice(path="@/d", state="absent")),
    Case("absent empty directory", {"e": Dir()}, twice(path="@/e", state="absent")),
    Case("absent link", TREE, twice(path="@/dl", state="absent")),
    Case("absent broken link", {"b": Link("gone")}, twice(path="@/b", state="absent")),
    Case("absent hard link", TREE, twice(path="@/h", state="absent"), {"h": "f"}),
    Case("absent below file", TREE, [step(path="@/f/x", state="absent")]),
    Case("no SELinux", TREE, twice(path="@/f", seuser="u", serole="r", setype="t", selevel="s0")),
]


@needs_root
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_as_ansible(case, scratch, run, oracle):
    check(case, "file", scratch, run, oracle)
