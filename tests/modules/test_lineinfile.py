"""The lineinfile module, case by case against what ansible-core answers."""

import os

import pytest
from module_cases import Case, Dir, File, Link, Step, check

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")


def step(check=False, diff=True, **args):
    return Step("lineinfile", args, check, diff)


def twice(**args):
    return [step(check=True, **args), step(**args), step(**args)]


def edit(name, text, **args):
    return Case(name, {"f": text}, twice(path="@/f", **args))


T = "one\ntwo\nthree\ntwo and a half\n"
CASES = [
    edit("append", T, line="x"),
    edit("append to no newline", "a\nb", line="x"),
    edit("append to nothing", "", line="x"),
    edit("there already", T, line="two"),
    edit("there with return", "a\r\nb\r\n", line="a"),
    edit("empty line", T, line=""),
    edit("several lines at once", T, line="x\ny"),
    edit("line with an end", T, line="x\n"),
    edit("last match replaced", T, regexp="^two", line="2"),
    edit("first match replaced", T, regexp="^two", line="2", firstmatch=True),
    edit("match of no newline", "a\nb", regexp="b", line="x"),
    edit("no match, line there", T, regexp="nothing", line="two"),
    edit("no match, line added", T, regexp="nothing", line="x"),
    edit("end of line", T, regexp="two$", line="x"),
    edit("empty regexp", T, regexp="", line="x"),
    edit("empty search_string", T, search_string="", line="x"),
    edit("search_string", T, search_string="and a", line="x"),
    edit("search_string is literal", "a.c\nabc\n", search_string="a.c", line="x"),
    edit("search_string first", T, search_string="two", line="x", firstmatch=True),
    edit("backrefs", T, regexp="^(t)wo( and)?", line=r"\1WO\g<2>", backrefs=True),
    edit("backrefs named", T, regexp="^(?P<x>th)", line=r"\g<x>ird", backrefs=True),
    edit("backrefs no match", T, regexp="^(z)", line=r"\1", backrefs=True),
    edit("no backrefs", T, regexp="^(th)ree", line=r"\1ird"),
    edit("insertafter", T, line="x", insertafter="^two"),
    edit("insertafter first", T, line="x", insertafter="^two", firstmatch=True),
    edit("insertafter first, there further down", "a\nb\na\nx\n", line="x", insertafter="^a", firstmatch=True),
    edit("insertafter no match", T, line="x", insertafter="^nothing"),
    edit("insertafter EOF", T, line="x", insertafter="EOF"),
    edit("insertafter BOF", T, line="x", insertafter="BOF"),
    edit("insertafter empty", T, line="x", insertafter=""),
    edit("insertafter last line", T, line="x", insertafter="half"),
    edit("insertafter with regexp", T, regexp="^x", line="x=1", insertafter="^one"),
    edit("insertafter with regexp found", T, regexp="^three", line="3", insertafter="^one"),
    edit("insertbefore", T, line="x", insertbefore="^two"),
    edit("insertbefore first", T, line="x", insertbefore="^two", firstmatch=True),
    edit("insertbefore no match", T, line="x", insertbefore="^nothing"),
    edit("insertbefore BOF", T, line="x", insertbefore="BOF"),
    edit("insertbefore EOF", T, line="x", insertbefore="EOF"),
    edit("insertbefore BOF of nothing", "", line="x", insertbefore="BOF"),
    edit("absent by regexp", T, state="absent", regexp="^two"),
    edit("absent by line", T, state="absent", line="two"),
    edit("absent by search_string", T, state="absent", search_string="o"),
    edit("absent by both", T, state="absent", regexp="^t", line="one"),
    edit("absent nothing", T, state="absent", line="x"),
    edit("absent with return", "a\r\nb\r\n", state="absent", line="a"),
    edit("absent with attributes", T, state="absent", line="one", mode="0600"),
    edit("words beyond ASCII", "Grüße\nnaïve\n", regexp="ü", line="Größe"),
    edit("no UTF-8", b"\xff\xfe\nab", line="via"),
    edit("mode", T, line="x", mode="0600", owner="daemon", group="daemon"),
    edit("mode alone", T, line="one", mode="0600"),
    edit("backup", T, line="x", backup=True),
    edit("backup of no change", T, line="one", backup=True, mode="0600"),
    edit("valid", T, line="x", validate="grep -q x %s"),
    Case("invalid", {"f": T}, [step(path="@/f", line="x", validate="sh -c 'echo out; echo bad >&2; exit 4' %s")]),
    Case("validate without %s", {"f": T}, [step(path="@/f", line="x", validate="true")]),
    Case("valid, nothing to do", {"f": T}, [step(path="@/f", line="one", validate="false %s")]),
    Case("keeps attributes", {"f": File(T, 0o640, 1, 2)}, twice(path="@/f", line="x")),
    Case("missing", {}, twice(path="@/f", line="x")),
    Case("missing absent", {}, twice(path="@/f", line="x", state="absent")),
    Case("created", {}, twice(path="@/f", line="x", create=True, mode="0600")),
    Case("created backup", {}, twice(path="@/f", line="x", create=True, backup=True)),
    Case("created deep", {}, twice(path="@/a/b/f", line="x", create=True)),
    Case("created by regexp", {}, twice(path="@/f", line="x", regexp="y", create=True)),
    Case("not created by backrefs", {}, [step(path="@/f", line="x", regexp="y", create=True, backrefs=True)]),
    Case("directory", {"d": Dir()}, twice(path="@/d", line="x")),
    Case("directory absent", {"d": Dir()}, twice(path="@/d", line="x", state="absent")),
    Case("link", {"f": T, "l": Link("f")}, twice(path="@/l", line="x")),
    Case("link mode", {"f": T, "l": Link("f")}, [step(path="@/l", line="x", mode="0600")]),
    Case("link owner", {"f": T, "l": Link("f")}, twice(path="@/l", line="x", owner="daemon")),
    Case("broken link", {"l": Link("gone")}, twice(path="@/l", line="x", create=True)),
    Case("hard link", {"f": T}, twice(path="@/h", line="x"), {"h": "f"}),
    Case("no line", {"f": T}, [step(path="@/f"), step(path="@/f", state="absent"), step(path="@/f", regexp="one")]),
    Case("backrefs needs regexp", {"f": T}, [step(path="@/f", line="x", backrefs=True)]),
]


@needs_root
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_as_ansible(case, scratch, run, oracle):
    check(case, "lineinfile", scratch, run, oracle)


def test_a_pattern_that_cannot_be_read_is_said_plainly(scratch, run):
    (scratch / "f").write_text(T)
    for option in ("regexp", "insertafter", "insertbefore"):
        result = run("lineinfile", {"path": f"{scratch}/f", "line": "x", option: "a("})
        assert result["failed"] and option in result["msg"] and "exception" not in result
    assert (scratch / "f").read_text() == T


def test_a_line_after_a_last_line_without_newline_is_a_line_of_its_own(scratch, run):
    """ansible-core makes one line of the two here."""
    (scratch / "f").write_text("one\ntwo")
    run("lineinfile", {"path": f"{scratch}/f", "line": "x", "insertafter": "two"})
    assert (scratch / "f").read_text() == "one\ntwo\nx\n"
