"""At a terminal: the line below the report, questions, and Ctrl-C in them."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from terminals import CTRL_C, at_terminal

from shepherd.report import Wishes
from shepherd.report.events import Prompt, TaskStart
from shepherd.report.lines import Lines
from shepherd.report.live import Live
from shepherd.report.stream import Stream
from shepherd.report.style import Style

if TYPE_CHECKING:
    from pathlib import Path

    from shepherd.lab.session import LabSession

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


@pytest.fixture
def locked(folder: Path, lab: LabSession) -> Path:
    """The key of the lab's hosts, with a passphrase, and a playbook for one of them that begins by connecting."""
    shutil.copy(lab.key, folder / "locked")
    change = ["ssh-keygen", "-q", "-p", "-P", "", "-N", "open sesame", "-f", str(folder / "locked")]
    subprocess.run(change, check=True, capture_output=True)
    host = {**lab.hosts[0].vars, "ansible_ssh_private_key_file": "locked"}
    (folder / "hosts.yml").write_text(json.dumps({"all": {"hosts": {"h1": host, "h2": host}}}))
    (folder / "ping.yml").write_text("- hosts: all\n  gather_facts: false\n  tasks:\n  - ping:\n")
    return folder


@pytest.mark.lab(hosts=1)
def test_a_passphrase_is_asked_for_once_and_not_shown(locked: Path) -> None:
    answers = [("Passphrase of the private key locked: ", "open sesame\n")]
    code, screen = at_terminal(["play", "ping.yml", "-i", "hosts.yml"], locked, answers)
    assert code == 0, screen
    assert screen.count("Passphrase") == 1
    assert "sesame" not in screen


@pytest.mark.lab(hosts=1)
def test_ctrl_c_ends_the_question_for_a_passphrase(locked: Path) -> None:
    code, screen = at_terminal(["run", "h1", "-i", "hosts.yml", "-m", "ping"], locked, [("Passphrase", CTRL_C)])
    assert code == 99, screen


def test_nothing_is_drawn_over_a_question() -> None:
    screen = io.StringIO()
    stream = Stream(screen)
    live = Live(Lines(stream, stream, Style(colour=False), Wishes()))
    question = Prompt("Passphrase: ")
    try:
        live.emit(question)
        live.emit(TaskStart("slow", "ping", "x.yml:1:1"))
        assert not live.draws
        live.emit(question._replace(answered=True))
        live.emit(TaskStart("slow", "ping", "x.yml:1:1"))
        assert live.draws
    finally:
        live.close()
