"""ansible-core beside us, to compare with. Run as a program it records anew what the cases expect."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import tempfile
from itertools import groupby
from operator import itemgetter
from pathlib import Path

CASES = Path(__file__).parent / "cases"
PATTERNS = Path(__file__).parent / "patterns"  # `table`: pattern, limit, and the hosts they mean, with tabs between


def program(name: str) -> str | None:
    """The path of one of its commands, from the folder SHEPHERD_ORACLE or PATH; None where it is not installed."""
    return shutil.which(name, path=os.environ.get("SHEPHERD_ORACLE")) or shutil.which(name)


def run(name: str, arguments: list[str], cwd: Path) -> str:
    """What it prints, run in `cwd` with a home of its own."""
    found = program(name)
    assert found, f"{name} is not installed"
    with tempfile.TemporaryDirectory() as home:
        environment = {"HOME": home, "PATH": os.environ["PATH"], "ANSIBLE_LOCALHOST_WARNING": "0", "LC_ALL": "C.UTF-8"}
        done = subprocess.run([found, *arguments], cwd=cwd, env=environment, capture_output=True, text=True)
    return done.stdout


def commands(case: Path) -> list[tuple[str, str]]:
    """The command lines of a case, with what each is expected to print."""
    sections = ("\n" + (case / "expected").read_text()).split("\n$ ")[1:]
    return [(command, output) for command, _, output in (section.partition("\n") for section in sections)]


def patterns() -> list[tuple[str, str, list[str]]]:
    """The lines of the table: pattern, limit ("" for none), hosts."""
    lines = [line.split("\t") for line in (PATTERNS / "table").read_text().splitlines()]
    return [(pattern, limit, hosts.split()) for pattern, limit, hosts in lines]


def select(limit: str, wanted: list[str]) -> list[list[str]]:
    """The hosts that each pattern means under `limit`, in order: one playbook, with a play for each that tells them."""
    task = {"debug": {"msg": "hosts: {{ ansible_play_hosts_all | join(' ') }}."}, "run_once": True}
    plays = [{"hosts": one, "gather_facts": False, "connection": "local", "tasks": [task]} for one in wanted]
    with tempfile.NamedTemporaryFile("w", suffix=".yml", dir=PATTERNS) as playbook:
        playbook.write(json.dumps(plays))
        playbook.flush()
        limited = ["-l", limit] if limit else []
        printed = run("ansible-playbook", ["-i", "hosts.ini", *limited, playbook.name], PATTERNS)
    told = [play.partition('"msg": "hosts: ')[2].partition('."')[0] for play in printed.split("\nPLAY [")[1:]]
    return [hosts.split() for hosts in told]


def record() -> None:
    for case in sorted(CASES.iterdir()):
        recorded = [
            f"$ {command}\n{run('ansible-inventory', shlex.split(command), case)}" for command, _ in commands(case)
        ]
        (case / "expected").write_text("".join(text.rstrip("\n") + "\n" for text in recorded))
    lines = []
    for limit, group in groupby(patterns(), key=itemgetter(1)):
        wanted = [pattern for pattern, _, _ in group]
        for pattern, hosts in zip(wanted, select(limit, wanted), strict=True):
            lines.append(f"{pattern}\t{limit}\t{' '.join(hosts)}\n")
    (PATTERNS / "table").write_text("".join(lines))


if __name__ == "__main__":
    record()
