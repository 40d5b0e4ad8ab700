"""At a terminal: the line below the report, questions, and Ctrl-C in them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from terminals import CTRL_C, at_terminal

if TYPE_CHECKING:
    from pathlib import Path

LOCAL = "ansible_connection=local ansible_python_interpreter=/usr/bin/python3"
PLAY = """
- hosts: all
  gather_facts: false
  tasks:
  - name: slow
    command: sleep {{ seconds }}
  - name: quick
    debug: {msg: quick}
  - name: last
    debug: {msg: last}
"""
ASK = """
- hosts: h1
  gather_facts: false
  vars_prompt:
  - {name: word, prompt: The word}
  - {name: colour, prompt: The colour, private: false, default: red}
  tasks:
  - pause: {prompt: Sure, echo: false}
    register: answer
  - debug: {msg: "{{ word }} {{ colour }} {{ answer.user_input }}"}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "hosts").write_text(f"h1 seconds=0.1 {LOCAL}\nh2 seconds=1.2 {LOCAL}\n")
    (tmp_path / "play.yml").write_text(PLAY)
    (tmp_path / "ask.yml").write_text(ASK)
    return tmp_path


def test_the_line_tells_what_is_waited_for_and_goes(folder: Path) -> None:
    code, screen = at_terminal(["play", "play.yml", "-i", "hosts"], folder)
    assert code == 0
    drawn = re.findall(r"\r\x1b\[K\x1b\[90m(.*?)\x1b\[0m", screen)
    assert "  slow: 1 of 2 hosts, 1 s, waiting for h2" in drawn
    assert all(len(line) < 60 for line in drawn)
    assert len(drawn) == len(set(drawn))  # drawn when it changes
    assert "\r\x1b[K\x1b[33mchanged: [h2]" in screen  # and taken away before anything is said
    assert screen.endswith("ignored=0   \n\n")


def test_dumb_terminals_have_no_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, screen = at_terminal(["play", "play.yml", "-i", "hosts", "--output", "plain"], folder)
    assert code == 0
    assert "\x1b" not in screen


def test_step(folder: Path) -> None:
    answers = [("slow (N)", "n\n"), ("quick (N)", "y\n"), ("last (N)", "c\n")]
    code, screen = at_terminal(["play", "play.yml", "-i", "hosts", "--step"], folder, answers)
    assert code == 0
    assert "Perform task: slow (N)o/(y)es/(c)ontinue: n" in screen
    assert "TASK [slow]" not in screen
    assert "msg: quick" in screen
    assert "msg: last" in screen


def test_questions(folder: Path) -> None:
    answers = [("The word", "hush\n"), ("The colour", "\n"), ("Sure", "yes\n")]
    code, screen = at_terminal(["play", "ask.yml", "-i", "hosts"], folder, answers)
    assert code == 0
    assert "msg: hush red yes" in screen
    assert screen.count("hush") == 1  # what is typed is not shown


@pytest.mark.parametrize(
    ("words", "question"),
    [(["ask.yml"], "The word"), (["play.yml", "--step"], "slow (N)"), (["play.yml", "-k"], "SSH")],
)
def test_interrupted_at_a_question(folder: Path, words: list[str], question: str) -> None:
    code, screen = at_terminal(["play", *words, "-i", "hosts"], folder, [(question, CTRL_C)])
    assert code == 99
    assert "Traceback" not in screen
    assert "interrupted" in screen


def test_passwords(folder: Path) -> None:
    words = ["run", "h1", "-i", "hosts", "-k", "-K", "echo done"]
    code, screen = at_terminal(words, folder, [("SSH password: ", "pw1\n"), ("[defaults to SSH password]: ", "pw2\n")])
    assert code == 0
    assert "done" in screen
    assert "pw1" not in screen
    assert "pw2" not in screen
