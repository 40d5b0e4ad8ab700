"""The forms of a report: what each writes of the same events, and what it does not let through."""

from __future__ import annotations

import io
import json
import warnings
from typing import Any

import pytest

from shepherd.documents import DuplicateKey
from shepherd.report import Wishes, choose, values
from shepherd.report.events import (
    HostResult,
    Included,
    ItemResult,
    Message,
    NoHosts,
    PlayStart,
    Prompt,
    Recap,
    Retry,
    TaskStart,
)
from shepherd.report.notices import Notices

COUNTS = {"ok": 1, "changed": 0, "unreachable": 0, "failed": 1, "skipped": 0, "rescued": 0, "ignored": 0}


def written(*events: Any, **wishes: Any) -> tuple[str, str]:
    """What the report for these wishes puts on standard output and error."""
    out, err = io.StringIO(), io.StringIO()
    report = choose(Wishes(**{"form": "plain", **wishes}), out, err)
    for event in events:
        report.emit(event)
    report.close()
    return out.getvalue(), err.getvalue()


def host(status: Any = "ok", result: dict[str, Any] | None = None, **more: Any) -> HostResult:
    return HostResult("web1", "task", "command", status, result or {}, **more)


LINES = {
    "play": (PlayStart("web", ["web1"]), f"\nPLAY [web] {'*' * 69}\n"),
    "check mode": (PlayStart("web", ["web1"], True), f"\nPLAY [web] [CHECK MODE] {'*' * 56}\n"),
    "long name": (PlayStart("x" * 80, []), f"\nPLAY [{'x' * 80}] ***\n"),
    "task": (TaskStart("a : b", "ping", "f:1"), f"\nTASK [a : b] {'*' * 67}\n"),
    "handler": (TaskStart("b", "ping", "f:1", True), f"\nRUNNING HANDLER [b] {'*' * 60}\n"),
    "no hosts": (NoHosts("p", "nope"), "skipping: no hosts matched\n"),
    "ok": (host(), "ok: [web1]\n"),
    "changed": (host("changed", {"changed": True}), "changed: [web1]\n"),
    "skipped": (host("skipped", {"skipped": True}), "skipping: [web1]\n"),
    "delegated": (host(delegated="db1"), "ok: [web1 -> db1]\n"),
    "debug": (host(result={"msg": "hi"}, speaks=True), "ok: [web1] => msg: hi\n"),
    "failed": (host("failed", {"msg": "no"}, path="p:3:5"), "fatal: [web1]: FAILED! => msg: no\n    at p:3:5\n"),
    "ignored": (host("failed", {"msg": "no"}, ignored=True), "fatal: [web1]: FAILED! => msg: no\n...ignoring\n"),
    "unreachable": (host("unreachable", {"msg": "down"}), "fatal: [web1]: UNREACHABLE! => msg: down\n"),
    "several": (
        host("failed", {"msg": "no", "rc": 1, "stdout": "a\nb\n", "stderr": ""}),
        "fatal: [web1]: FAILED! =>\n    msg: no\n    rc: 1\n    stdout:\n      a\n      b\n",
    ),
    "item": (ItemResult("web1", "t", "changed", 1, "1"), "changed: [web1] => (item=1)\n"),
    "failed item": (
        ItemResult("web1", "t", "failed", 1, "1", {"msg": "no"}),
        "failed: [web1] (item=1) => msg: no\n",
    ),
    "skipped item": (ItemResult("web1", "t", "skipped", 1, "1"), "skipping: [web1] => (item=1)\n"),
    "loop": (host("changed", {"results": [{"changed": True}]}), ""),
    "failed loop": (host("failed", {"results": [{"failed": True}]}, path="p:1:1"), "    at p:1:1\n"),
    "include": (HostResult("web1", "t", "include_tasks", "ok", {"include": "x.yml"}), ""),
    "include in a loop": (ItemResult("web1", "t", "ok", 1, "1", {}, action="include_role"), ""),
    "skipped include": (HostResult("web1", "t", "include_tasks", "skipped"), "skipping: [web1]\n"),
    "empty loop": (host("skipped", {"results": []}), "skipping: [web1]\n"),
    "retry": (Retry("web1", "wait", 2), "FAILED - RETRYING: [web1]: wait (2 retries left).\n"),
    "included": (Included("x.yml", ["web1", "db1"]), "included: x.yml for web1, db1\n"),
    "included item": (Included("x.yml", ["web1"], 3), "included: x.yml for web1 => (item=3)\n"),
    "question": (Prompt("who?"), ""),
    "recap": (
        Recap({"web1": COUNTS}),
        f"\nPLAY RECAP {'*' * 69}\nweb1                       : ok=1    changed=0    unreachable=0    failed=1    "
        "skipped=0    rescued=0    ignored=0   \n\n",
    ),
    "recap with containers that ail": (
        Recap({}, ailing={"web1": ["shop-1 is unhealthy", "job ended with 3"]}),
        f"\nPLAY RECAP {'*' * 69}\nweb1                       : shop-1 is unhealthy; job ended with 3\n\n",
    ),
}


@pytest.mark.parametrize("name", LINES)
def test_lines(name: str) -> None:
    event, expected = LINES[name]
    assert written(event)[0] == expected


RESULT = {"changed": True, "msg": "hi", "invocation": {"module_args": {"x": 1}}, "start": "now"}


def test_verbosity() -> None:
    events = (TaskStart("t", "ping", "play.yml:3:5"), host("changed", RESULT, seconds=0.5))
    plain, one, two = (written(*events, verbosity=level)[0] for level in (0, 1, 2))
    assert "hi" not in plain
    assert "msg: hi" in one
    assert "start: now" in one
    assert "play.yml" not in one
    assert "task path: play.yml:3:5" in two
    assert "0.50 s" in two


def test_messages_by_level() -> None:
    events = [Message(level, f"a {level}", "web1") for level in ("warning", "deprecation", "info", "debug", "error")]
    out, err = written(*events)
    assert out == ""
    assert err == "[WARNING]: web1: a warning\n[DEPRECATION WARNING]: web1: a deprecation\n[ERROR]: web1: a error\n"
    assert "a info" in written(*events, verbosity=1)[1]
    assert "a debug" not in written(*events, verbosity=2)[1]
    assert "[DEBUG]: web1: a debug" in written(*events, verbosity=3)[1]


def test_long_output_is_cut_with_a_word_on_how_to_see_it() -> None:
    result = {"msg": "no", "stdout": "x" * 10_000}
    short = written(host("failed", result))[0]
    assert len(short) < 5000
    assert "6000 more characters: -v shows all" in short
    assert "x" * 10_000 in written(host("failed", result), verbosity=1)[0]


def test_traceback_is_pointed_to() -> None:
    result = {"msg": "no", "exception": "Traceback …"}
    assert "Traceback" not in written(host("failed", result))[0]
    assert "-v shows where" in written(host("failed", result))[0]
    assert "Traceback" in written(host("failed", result), verbosity=1)[0]


DIFFS = {
    "text": (
        {"before": "a\nb\n", "after": "a\nc\n", "before_header": "/f", "after_header": "/f"},
        "--- before: /f\n+++ after: /f\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n\n",
    ),
    "no end of line": (
        {"before": "", "after": "x"},
        "--- before\n+++ after\n@@ -0,0 +1 @@\n+x\n\\ No newline at end of file\n\n",
    ),
    "same": ({"before": "a", "after": "a"}, ""),
    "prepared": ({"prepared": "--- a\n+++ b\n"}, "--- a\n+++ b\n\n"),
    "state": (
        {"before": {"mode": "0644"}, "after": {"mode": "0600"}},
        '--- before\n+++ after\n@@ -1,3 +1,3 @@\n {\n-    "mode": "0644"\n+    "mode": "0600"\n }\n\n',
    ),
    "two": ([{"prepared": "a"}, {"prepared": "b"}], "a\n\nb\n\n"),
    "binary": ({"dst_binary": 1}, "diff skipped: destination file appears to be binary\n\n"),
    "large": ({"src_larger": 5}, "diff skipped: source file size is greater than 5\n\n"),
    "nothing": ([], ""),
    "odd": ("text", ""),
}


@pytest.mark.parametrize("name", DIFFS)
def test_diff(name: str) -> None:
    found, expected = DIFFS[name]
    assert written(host(result={"diff": found}), diff=True)[0] == expected + "ok: [web1]\n"
    assert written(host(result={"diff": found}))[0] == "ok: [web1]\n"


EVIL = "\x1b]0;owned\x07\x1b[2J\r\x9b\u202e\udcff\x00"


@pytest.mark.parametrize("form", ["plain", "terminal", "json"])
def test_nothing_drives_the_terminal(form: str) -> None:
    evil = host("failed", {"msg": EVIL, EVIL: {EVIL: [EVIL]}, "diff": {"before": "", "after": EVIL}})
    events = (
        PlayStart(EVIL, [EVIL]),
        TaskStart(EVIL, "ping", EVIL),
        evil._replace(host=EVIL, path=EVIL),
        Message("warning", EVIL),
        ItemResult(EVIL, "t", "failed", EVIL, EVIL, {"msg": EVIL}),
        Recap({EVIL: COUNTS}),
    )
    for wishes in ({}, {"adhoc": True}, {"adhoc": True, "one_line": True}):
        out, err = written(*events, form=form, diff=True, verbosity=3, **wishes)
        own = ("\x1b[0m", "\r\x1b[K")
        for text in (out, err):
            for mark in own:
                text = text.replace(mark, "")
            assert not [
                bad for bad in ("\x1b]", "\x1b[2J", "\x07", "\r", "\x9b", "\u202e", "\udcff", "\x00") if bad in text
            ]
        (out + err).encode()  # no surrogates are left


def test_json_of_values_that_json_does_not_know() -> None:
    class Odd:
        def __str__(self) -> str:
            return "odd"

    endless: dict[str, Any] = {}
    endless["self"] = endless
    result = {"set": {2, 1}, "bytes": b"\xff", "odd": Odd(), (1, 2): "key", "nan": float("nan"), "endless": endless}
    line = json.loads(written(host(result=result), form="json")[0], parse_constant=pytest.fail)
    shown = line["result"]
    assert (shown["set"], shown["bytes"], shown["odd"]) == ([1, 2], "\\xff", "odd")
    assert shown["(1, 2)"] == "key"
    assert written(host("failed", result))[0]


def test_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert written(host("changed"), form="terminal")[0] == "\x1b[33mchanged: [web1]\x1b[0m\n"
    monkeypatch.setenv("NO_COLOR", "1")
    assert written(host("changed"), form="terminal")[0] == "changed: [web1]\n"


def test_warnings_from_anywhere_are_said_once() -> None:
    out, err = io.StringIO(), io.StringIO()
    before = warnings.showwarning
    grown = ["the first"]
    with Notices(choose(Wishes("plain"), out, err)) as said:
        said.watch(lambda: grown)
        for _ in range(3):
            warnings.warn(DuplicateKey("twice"), stacklevel=1)
            said.emit(Message("warning", "again"))
        grown.append("the second")
        said.emit(host())
        grown.append("the third")
    assert err.getvalue().splitlines() == [
        f"[WARNING]: {text}" for text in ("the first", "twice", "again", "the second", "the third")
    ]
    assert warnings.showwarning is before


def test_short_and_long_values() -> None:
    assert list(values.entry("x", [1, 2])) == ["x: [1, 2]"]
    assert list(values.entry("x", "a\nb\n")) == ["x:", "  a", "  b"]
    assert len(list(values.entry("x", {f"key{number}": number for number in range(20)}))) == 23
