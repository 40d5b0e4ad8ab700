"""Starting: help and versions are quick, since nothing that they do not need is imported."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from commands import shepherd

from shepherd import __version__
from shepherd.cli import VERBS

if TYPE_CHECKING:
    from pathlib import Path

HEAVY = {"paramiko", "jinja2", "yaml", "asyncio", "subprocess", "socket", "difflib", "shepherd.engine"}
PROGRAM = """
import json, sys
from shepherd.cli import main
try:
    code = main(sys.argv[1:])
except SystemExit as end:
    code = end.code
print(json.dumps([code or 0, sorted(sys.modules)]), file=sys.stderr)
"""
LIGHT = [["--version"], ["--help"], [], *([verb, "--help"] for verb in VERBS)]


@pytest.mark.parametrize("words", LIGHT, ids=" ".join)
def test_imports_nothing_heavy(words: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, *words], capture_output=True, text=True, check=True)
    code, modules = json.loads(done.stderr)
    assert code == 0
    assert done.stdout
    assert not HEAVY & set(modules)


def test_version(tmp_path: Path) -> None:
    for words in ([], *([verb] for verb in VERBS)):
        assert shepherd([*words, "--version"], tmp_path).out == f"shepherd {__version__}\n"


def test_help_names_every_verb(tmp_path: Path) -> None:
    said = shepherd(["--help"], tmp_path)
    assert all(verb in said.out for verb in VERBS)


@pytest.mark.parametrize("verb", ["play", "run"])
def test_help_has_the_flags_that_people_know(verb: str, tmp_path: Path) -> None:
    known = (
        "-i --inventory -l --limit -e --extra-vars -C --check -D --diff -b --become --become-user --become-method -K "
        "--ask-become-pass --become-password-file -k --ask-pass --connection-password-file --private-key --key-file -u "
        "--user -c --connection -T --timeout --ssh-common-args --ssh-extra-args -f --forks -M --module-path -v "
        "--verbose --list-hosts --task-timeout"
    )
    of_plays = " -t --tags --skip-tags --start-at-task --step --syntax-check --list-tasks --list-tags --force-handlers"
    of_one = " -m --module-name -a --args -o --one-line -t --tree -B --background -P --poll --playbook-dir"
    text = shepherd([verb, "--help"], tmp_path).out
    flags = {word.strip(",[]") for word in text.split()}
    wanted = (known + of_plays if verb == "play" else known + of_one).split()
    assert not [flag for flag in wanted if flag not in flags]


def test_abbreviations(tmp_path: Path) -> None:
    (tmp_path / "play.yml").write_text("- hosts: all\n")
    said = shepherd(["play", "play.yml", "-i", "h,", "--lim", "h", "--syntax"], tmp_path)
    assert (said.code, said.out) == (0, "\nplaybook: play.yml\n")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("play x.yml --vault-id a@prompt", "Ansible Vault"),
        ("play x.yml --vault-password-file=f", "Ansible Vault"),
        ("run all true -J", "Ansible Vault"),
        ("inventory --list --ask-vault-pass", "Ansible Vault"),
        ("run all true --scp-extra-args=-l", "--ssh-extra-args"),
        ("doc -l", "all modules are listed"),
        ("doc -t lookup file", "modules alone"),
    ],
)
def test_flags_that_are_not_there_are_refused_with_a_reason(words: str, part: str, tmp_path: Path) -> None:
    said = shepherd(words.split(), tmp_path)
    assert said.code == 2
    assert "is not supported" in said.err
    assert part in said.err


def test_a_value_like_a_flag_is_explained(tmp_path: Path) -> None:
    assert "--ssh-extra-args='-…'" in shepherd(["run", "all", "--ssh-extra-args", "-o X=y"], tmp_path).err


@pytest.mark.parametrize(
    ("redirection", "code", "said"),
    [
        ("> /dev/full", 1, "ERROR! the output cannot be written: No space left on device\n"),
        (">&-", 0, ""),
        (">/dev/null <&-", 0, ""),
        ("| head -0", 0, ""),
    ],
)
@pytest.mark.parametrize("verb", ["doc copy", "inventory -i h1, --list", "doc"])
def test_streams_that_are_full_or_closed(verb: str, redirection: str, code: int, said: str, tmp_path: Path) -> None:
    command = f"set -o pipefail; {sys.executable} -m shepherd {verb} {redirection}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stderr) == (code, said)


@pytest.mark.parametrize("redirection", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_play_with_closed_streams(redirection: str, tmp_path: Path) -> None:
    (tmp_path / "play.yml").write_text("- hosts: localhost\n  tasks: [{copy: {content: x, dest: here}}]\n")
    command = f"{sys.executable} -m shepherd play play.yml -i localhost, -c local {redirection}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done
    assert (tmp_path / "here").read_text() == "x"
