"""Playbooks spoilt at random: whatever is wrong is said as a mistake of the writer's, never as one of ours."""

from __future__ import annotations

import random
from pathlib import Path

from commands import shepherd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

HERE = Path(__file__).parent
GOOD = (HERE / "good.yml").read_text()
WORDS = (
    "true",
    "null",
    "3",
    "[]",
    "{}",
    "{{ x",
    "{{ a.b.c }}",
    "'",
    '"',
    ": ",
    "- ",
    "\t",
    "é",
    "\\",
    "%",
    "&a",
    "*a",
    "!x ",
)
BAD_ENDINGS = ("Traceback (most recent call last)", "a bug in shepherd")


def _cut(text: str, chance: random.Random) -> str:
    at = chance.randrange(len(text))
    return text[:at] + text[at + chance.randint(1, 12) :]


def _put_in(text: str, chance: random.Random) -> str:
    at = chance.randrange(len(text))
    return text[:at] + chance.choice(WORDS) + text[at:]


def _swap_lines(text: str, chance: random.Random) -> str:
    lines = text.splitlines(keepends=True)
    one, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return "".join(lines)


def _indent(text: str, chance: random.Random) -> str:
    lines = text.splitlines(keepends=True)
    at = chance.randrange(len(lines))
    lines[at] = "  " + lines[at] if chance.random() < 0.5 else lines[at][2:]
    return "".join(lines)


def _replace_value(text: str, chance: random.Random) -> str:
    lines = text.splitlines(keepends=True)
    at = chance.choice([number for number, line in enumerate(lines) if ": " in line])
    lines[at] = lines[at].partition(": ")[0] + ": " + chance.choice(WORDS) + "\n"
    return "".join(lines)


SPOILERS = (_cut, _put_in, _swap_lines, _indent, _replace_value)


def _play(text: str, folder: Path, *flags: str) -> None:
    (folder / "play.yml").write_text(text)
    (folder / "hosts").write_text("a ansible_connection=local ansible_python_interpreter=/usr/bin/python3\n")
    said = shepherd(["play", "play.yml", "-i", "hosts", "--check", *flags], folder)
    assert said.code in (0, 1, 2, 4), said.both
    assert not any(ending in said.both for ending in BAD_ENDINGS), said.both
    assert said.code == 0 or said.both.strip()


def test_the_good_one_is_good(tmp_path: Path) -> None:
    (tmp_path / "play.yml").write_text(GOOD)
    (tmp_path / "hosts").write_text("a ansible_connection=local ansible_python_interpreter=/usr/bin/python3\n")
    said = shepherd(["play", "play.yml", "-i", "hosts", "--check"], tmp_path)
    assert said.code == 0, said.both


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32), st.integers(1, 3))
def test_read_only(tmp_path: Path, seed: int, times: int) -> None:
    chance = random.Random(seed)  # noqa: S311  # no secret
    text = GOOD
    for _ in range(times):
        text = chance.choice(SPOILERS)(text, chance)
    _play(text, tmp_path, "--list-tasks")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32))
def test_played(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311  # no secret
    _play(chance.choice(SPOILERS)(GOOD, chance), tmp_path)
