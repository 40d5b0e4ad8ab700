"""blockinfile and replace, case by case against what ansible-core answers."""

import os

import pytest
from module_cases import Case, Dir, File, Link, Step, check

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")
B, E = "# BEGIN ANSIBLE MANAGED BLOCK\n", "# END ANSIBLE MANAGED BLOCK\n"
T = "a\nb\nc\n"
R = "one\ntwo\nthree\ntwo\n"


def steps(module, **args):
    return [Step(module, args, check=True), Step(module, args), Step(module, args)]


def block(name, text=T, **args):
    return Case(f"block {name}", {"f": text}, steps("blockinfile", path="@/f", **args))


def replace(name, text=R, **args):
    return Case(f"replace {name}", {"f": text}, steps("replace", path="@/f", **args))


FILES = {"f": T, "l": Link("f"), "d": Dir(), "kept": File(T, 0o640, 1, 2)}
CASES = [
    block("at the end", block="x\ny"),
    block("with newline", block="x\ny\n"),
    block("with newlines", block="\nx\n\n"),
    block("of nothing", block=""),
    block("into nothing", "", block="x"),
    block("no newline at the end", "a\nb", block="x"),
    block("beyond ASCII", "Grüße\n", block="Größe"),
    block("with returns", "a\r\nb\r\n", block="x\r\ny"),
    block("changed", f"a\n{B}old\n{E}b\n", block="new"),
    block("changed, not moved", f"a\n{B}old\n{E}b\n", block="new", insertbefore="BOF"),
    block("absent", f"a\n{B}old\n{E}b\n", block="new", state="absent"),
    block("emptied", f"a\n{B}old\n{E}b\n", block=""),
    block("absent already", state="absent"),
    block("begin alone", f"a\n{B}old\nb\n", block="new"),
    block("markers in the other order", f"a\n{E}old\n{B}b\n", block="new"),
    block("two blocks", f"a\n{B}old\n{E}b\n{B}older\n{E}", block="new"),
    block("BOF", block="x", insertbefore="BOF"),
    block("EOF", block="x", insertafter="EOF"),
    block("before EOF", block="x", insertbefore="EOF"),
    block("after BOF", block="x", insertafter="BOF"),
    block("after", block="x", insertafter="^a"),
    block("after last", "a\nb\na\nb\n", block="x", insertafter="^a"),
    block("before", block="x", insertbefore="^c"),
    block("before last", "a\nb\na\nb\n", block="x", insertbefore="^b"),
    block("after no match", block="x", insertafter="z"),
    block("before no match", block="x", insertbefore="z"),
    block("after several lines", block="x", insertafter="(?m)a\nb"),
    block("before several lines", block="x", insertbefore="(?m)b\nc"),
    block("lines do not span", block="x", insertafter="a\nb"),
    block("first of several", "bb\nb\n", block="x", insertbefore="(?m)b$"),
    block("blank lines at the end", block="x", append_newline=True, prepend_newline=True),
    block("blank lines between", block="x", append_newline=True, prepend_newline=True, insertafter="^a"),
    block("blank lines at the beginning", block="x", append_newline=True, prepend_newline=True, insertbefore="BOF"),
    block("blank lines there", "a\n\nb\n", block="x", append_newline=True, prepend_newline=True, insertafter="^a"),
    block("marker", block="x", marker="// {mark} {mark} m", marker_begin="<", marker_end=">"),
    block("marker of one kind", block="x", marker="plain"),
    block("mode", block="x", mode="0600", owner="daemon"),
    block("mode alone", f"{B}x\n{E}", block="x", mode="0600"),
    block("backup", block="x", backup=True),
    block("valid", block="x", validate="grep -q x %s"),
    Case("block invalid", FILES, [Step("blockinfile", {"path": "@/f", "block": "x", "validate": "false %s"})]),
    Case("block missing", {}, steps("blockinfile", path="@/f", block="x")),
    Case("block missing absent", {}, steps("blockinfile", path="@/f", state="absent")),
    Case("block created", {}, steps("blockinfile", path="@/a/f", block="x", create=True, backup=True)),
    Case("block created mode", {}, steps("blockinfile", path="@/f", block="x", create=True, mode="0600")),
    Case("block created empty", {}, steps("blockinfile", path="@/f", block="", create=True)),
    Case("block directory", FILES, steps("blockinfile", path="@/d", block="x")),
    Case("block link", FILES, steps("blockinfile", path="@/l", block="x", owner="daemon")),
    Case("block keeps attributes", FILES, steps("blockinfile", path="@/kept", block="x")),
    replace("lines", regexp="^two$", replace="2"),
    replace("groups", regexp=r"t(\w+)", replace=r"<\1\g<1>>"),
    replace("nothing", regexp="zz", replace="2"),
    replace("by nothing", regexp="^two\n"),
    replace("by the same", regexp="two", replace="two"),
    replace("after", regexp="two", replace="2", after="three"),
    replace("before", regexp="two", replace="2", before="three"),
    replace("between", "x\none\nx\ntwo\nx\n", regexp="x", replace="y", after="one", before="two"),
    replace("before the last", "b\nx\nb\n", regexp="x", replace="y", before="b"),
    replace("after no match", regexp="two", replace="2", after="zz", mode="0600"),
    replace("before no match", regexp="two", replace="2", before="zz"),
    replace("between no match", regexp="two", replace="2", before="zz", after="one"),
    replace("beyond ASCII", "Grüße\n", regexp="ü", replace="ue"),
    replace("encoding", "Grüße\n".encode("latin-1"), regexp="ü", replace="ö", encoding="latin-1"),
    replace("no UTF-8", b"\xff\na\n", regexp="a", replace="b"),
    replace("returns", "a\r\nb\r\n", regexp="a\r$", replace="x\r"),
    replace("attributes", regexp="two", replace="2", mode="0600", owner="daemon"),
    replace("attributes alone", regexp="zz", mode="0600"),
    replace("backup", regexp="two", replace="2", backup=True),
    replace("valid", regexp="two", replace="2", validate="grep -q 2 %s"),
    Case("replace invalid", FILES, [Step("replace", {"path": "@/f", "regexp": "a", "validate": "false %s"})]),
    Case("replace missing", {}, steps("replace", path="@/f", regexp="x")),
    Case("replace directory", FILES, steps("replace", path="@/d", regexp="x")),
    Case("replace link", FILES, steps("replace", path="@/l", regexp="a", replace="x", mode="0600", owner="daemon")),
    Case("replace keeps attributes", FILES, steps("replace", path="@/kept", regexp="a", replace="x")),
]


@needs_root
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_as_ansible(case, scratch, run, oracle):
    check(case, "blockinfile", scratch, run, oracle)


def test_no_blank_lines_without_a_block(scratch, run):
    """ansible-core adds one with every run."""
    (scratch / "f").write_text(T)
    args = {"path": f"{scratch}/f", "block": "", "append_newline": True, "prepend_newline": True, "insertafter": "^a"}
    assert not run("blockinfile", args)["changed"]
    assert (scratch / "f").read_text() == T


@pytest.mark.parametrize(
    ("module", "args"),
    [
        ("blockinfile", {"block": "x", "insertafter": "("}),
        ("replace", {"regexp": "("}),
        ("replace", {"regexp": "a", "after": "("}),
        ("replace", {"regexp": "a", "replace": r"\9"}),
        ("replace", {"regexp": "a", "encoding": "bogus"}),
        ("replace", {"regexp": "a", "replace": "€", "encoding": "latin-1"}),
    ],
)
def test_what_cannot_be_done_is_said_plainly(scratch, run, module, args):
    (scratch / "f").write_text(T)
    result = run(module, {"path": f"{scratch}/f", **args})
    assert result["failed"] and "exception" not in result
    assert (scratch / "f").read_text() == T
