"""Arguments as text mean what they mean to ansible-core. arguments.json holds what it said of each text, read as
options and as a command line; null where it refused. `python tests/playbook/test_playbook_arguments.py` records anew.
"""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playbook_trees import oracle

from shepherd.arguments import COMMAND_OPTIONS, FREE_FORM, parse_kv, split_words, unquote
from shepherd.errors import ParseError
from shepherd.origin import Origin, Text

RECORDED = Path(__file__).parent / "arguments.json"
PIECES = (
    *("a", "b", "=", "'", '"', " ", "  ", "\n", "\\", "{{", "}}", "{%", "%}", "{#", "#}", "\\n", "chdir", "\\=", "\t"),
    *("é", "\\x41", "{", "\\'", '\\"', "a=1", "k='v w'", '{{ "x" }}', "\\\n", " \\\n", "\\u0041", "\\N{BULLET}"),
)
ASK = """
import json, sys
from ansible.parsing.splitter import parse_kv
def said(text, command):
    try:
        return parse_kv(text, check_raw=command)
    except Exception:
        return None
json.dump([[text, said(text, False), said(text, True)] for text in json.load(sys.stdin)], sys.stdout)
"""

texts = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)


def read(text: str, command: bool) -> dict[str, Any] | None:
    try:
        return parse_kv(text, known=COMMAND_OPTIONS if command else None)
    except ParseError:
        return None


def without_blank(said: dict[str, Any] | None) -> dict[str, Any] | None:
    """A rest of white space alone is no free text to us."""
    if said and not said.get(FREE_FORM, "x").strip():
        del said[FREE_FORM]
    return said


def ask(texts: list[str]) -> list[tuple[str, dict[str, Any] | None, dict[str, Any] | None]]:
    program = oracle("ansible")
    assert program
    python = Path(program).parent / "python"
    done = subprocess.run([python, "-c", ASK], input=json.dumps(texts), capture_output=True, text=True, check=True)
    return [(text, without_blank(plain), without_blank(command)) for text, plain, command in json.loads(done.stdout)]


@pytest.mark.parametrize(("text", "plain", "command"), json.loads(RECORDED.read_text()))
def test_means_what_ansible_means(text: str, plain: Any, command: Any) -> None:
    assert read(text, command=False) == plain
    assert read(text, command=True) == command


@pytest.mark.oracle
@pytest.mark.skipif(oracle("ansible") is None, reason="ansible-core is not installed")
def test_means_what_ansible_means_whatever_is_written() -> None:
    choose = random.Random(20)  # noqa: S311
    texts = ["".join(choose.choices(PIECES, k=choose.randint(1, 12))) for _ in range(5000)]
    for text, plain, command in ask(texts):
        assert read(text, command=False) == plain, text
        assert read(text, command=True) == command, text


@given(st.one_of(texts, st.text()))
def test_any_text_is_read_or_refused(text: str) -> None:
    read(text, command=False)
    read(text, command=True)


@given(st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), st.text("ab c=:/.,}'\n", max_size=10)))
def test_quoted_values_come_back(options: dict[str, str]) -> None:
    assert parse_kv(" ".join(f'{name}="{value}"' for name, value in options.items())) == options


@given(texts)
def test_words_lose_nothing_but_spaces_and_continuations(text: str) -> None:
    try:
        words = split_words(text)
    except ParseError:
        return
    kept = "".join("".join(words).split())
    assert kept.replace("\\", "") == "".join(text.split()).replace("\\", "")


def test_a_value_keeps_its_place() -> None:
    place = Origin("play.yml", 3, 12)
    found = parse_kv(Text("msg='{{ x }}' rest", place))
    assert found["msg"].origin == place
    assert found[FREE_FORM].origin == place


def test_what_is_not_closed_says_where() -> None:
    with pytest.raises(ParseError, match="unbalanced") as caught:
        parse_kv(Text("msg='x", Origin("play.yml", 3, 12)))
    assert caught.value.origin == Origin("play.yml", 3, 12)


@pytest.mark.parametrize(
    ("text", "bare"),
    [("'a'", "a"), ('"a"', "a"), ("'a", "'a"), ("'a\"", "'a\""), ("'", "'"), ("''", ""), ("'a\\'", "'a\\'")],
)
def test_unquote(text: str, bare: str) -> None:
    assert unquote(text) == bare


if __name__ == "__main__":
    known = [text for text, _, _ in json.loads(RECORDED.read_text())]
    lines = ",\n".join(json.dumps(line, ensure_ascii=False) for line in ask(known))
    RECORDED.write_text(f"[\n{lines}\n]\n")
