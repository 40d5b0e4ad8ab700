"""The find module, case by case against what ansible-core answers."""

import os

import pytest
from module_cases import Case, Dir, File, Link, Step, check

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")
VOLATILE = ("inode", "dev", "ctime")
FILES = {
    "f": File("hello\nwally\n", 0o600, 54321, 1),
    "x.log": File("wally first\n", 0o755),
    "a,b.log": "q",
    ".hid": "h",
    ".hd/in": "y",
    "d/g": "abc",
    "d/.hid2": "h",
    "d/e/h": "x" * 5000,
    "d/loop": Link("."),
    "l": Link("f"),
    "b": Link("gone"),
    "dl": Link("d"),
    "e": Dir(),
}


def find(name, **args):
    args.setdefault("paths", ["@/"])
    return Case(name, FILES, [Step("find", args, diff=False)])


CASES = [
    find("all"),
    find("no slash", paths=["@/."]),
    find("recurse", recurse=True),
    find("recurse hidden", recurse=True, hidden=True),
    *(find(f"recurse {kind}", recurse=True, file_type=kind) for kind in ("directory", "link", "any")),
    find("directories hidden", file_type="directory", hidden=True),
    *(find(f"depth {depth}", recurse=True, depth=depth) for depth in (0, 1, 2, 3)),
    find("depth alone", depth=2),
    find("pattern", patterns=["*.log"]),
    find("patterns in one text", patterns="*.log,f"),
    find("pattern with a comma", patterns=["a,b.log"]),
    find("pattern of one letter", patterns=["[fg]"], recurse=True),
    find("regex", patterns="^.*log$", use_regex=True),
    find("regex is for the whole name", patterns="log", use_regex=True),
    find("regex alternatives", patterns=["f|x.log", "g"], use_regex=True, recurse=True),
    find("excludes", excludes=["*.log"]),
    find("excludes and patterns", excludes=["f"], patterns=["*"]),
    find("excludes regex", excludes=["f.*"], use_regex=True),
    find("contains", contains="wally"),
    find("contains at the beginning only", contains="ally"),
    find("contains whole", contains="ally", read_whole_file=True),
    find("contains over lines", contains="hello\nw", read_whole_file=True),
    find("contains encoding", contains="wally", encoding="latin-1"),
    find("contains is for files", contains="x", file_type="any"),
    *(find(f"size {size}", size=size, recurse=True) for size in ("1k", "-10", "5", "4b", "5000", "-5000", "1t")),
    find("size of anything", size="1m", file_type="any"),
    *(find(f"bad size {size}", size=size) for size in ("bogus", "1q", "", "k")),
    *(find(f"age {age}", age=age) for age in ("1d", "-1d", "0", "-5h", "1w", "-1s0")),
    *(find(f"age of {stamp}", age="-1d", age_stamp=stamp) for stamp in ("atime", "mtime", "ctime")),
    *(find(f"bad age {age}", age=age) for age in ("bogus", "-1y", "1.5d")),
    *(
        find(f"mode {mode} {exact}", mode=mode, exact_mode=exact, recurse=True, hidden=True)
        for mode in ("0644", "0600", "0007", "u=rw,g=r,o=r", "u+x", "a+x", "go=")
        for exact in (True, False)
    ),
    find("checksum", get_checksum=True, patterns=["f"]),
    find("no directory", paths=["@/f"]),
    find("one of two", paths=["@/no", "@/d"]),
    find("two", paths=["@/", "@/d"], patterns=["g", "f"]),
    find("path with dots", paths=["@/d/.."], patterns=["f"]),
    find("none", paths=[]),
    find("limit 0", limit=0),
    find("limit large", limit=100),
    find("limit reached", patterns=["f"], limit=1),
]


def ironed(result, step):
    for found in result.get("files", []):
        for key in VOLATILE:
            found.pop(key)
        if found["isdir"]:
            found.pop("size")
    result.get("files", []).sort(key=lambda found: found["path"])  # ours come sorted, theirs as the disk has them
    return result


ours = ironed


@needs_root
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_as_ansible(case, scratch, run, oracle):
    check(case, "find", scratch, run, oracle, ours=ironed, theirs=ironed)


def paths(result, root):
    return [found["path"].removeprefix(f"{root}/") for found in result["files"]]


def test_names_come_in_order_and_upper_ones_first(scratch, run):
    for name in ("z", "a/m", "a/b/c", "k"):
        (scratch / name).parent.mkdir(parents=True, exist_ok=True)
        (scratch / name).touch()
    args = {"paths": str(scratch), "recurse": True}
    assert paths(run("find", args), scratch) == ["k", "z", "a/m", "a/b/c"]
    assert paths(run("find", {**args, "limit": 3}), scratch) == ["k", "z", "a/m"]


def test_a_checksum_of_another_kind(scratch, run):
    (scratch / "f").write_text("x")
    args = {"paths": str(scratch), "get_checksum": True, "checksum_algorithm": "md5"}
    assert run("find", args)["files"][0]["checksum"] == "9dd4e461268c8034f5c8564e155c67a6"


def test_a_limit_holds_over_all_paths(scratch, run):
    for name in ("a", "b"):
        (scratch / name).mkdir()
        (scratch / name / "f").touch()
    result = run("find", {"paths": [f"{scratch}/a", f"{scratch}/b"], "limit": 1})
    assert paths(result, scratch) == ["a/f"] and result["msg"] == "Limit of matches reached"


def test_links_that_lead_back_end_the_way(scratch, run):
    (scratch / "d/e").mkdir(parents=True)
    (scratch / "d/f").touch()
    (scratch / "d/e/up").symlink_to("../..")
    result = run("find", {"paths": str(scratch), "recurse": True, "follow": True})
    assert paths(result, scratch) == ["d/f"]


def test_a_file_that_is_no_text_is_skipped_and_the_others_searched(scratch, run):
    (scratch / "a").write_bytes(b"\xff\xfehello\n")
    (scratch / "b").write_text("hello\n")
    result = run("find", {"paths": str(scratch), "contains": "hello", "encoding": "utf-8"})
    assert paths(result, scratch) == ["b"]
    assert "due to an encoding error" in result["skipped_paths"][str(scratch)]
    assert result["warnings"]


def test_a_bad_pattern_is_said(scratch, run):
    for args in ({"patterns": ["("], "use_regex": True}, {"contains": "("}, {"mode": "bogus"}):
        (scratch / "f").touch()
        result = run("find", {"paths": str(scratch), **args})
        assert result["matched"] == 0 and result["skipped_paths"] and result["warnings"], args
