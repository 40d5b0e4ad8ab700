"""What a playbook does, in a form that two programs can be compared by: for each host its answers in order."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests import warm

HERE = Path(__file__).parent
RECORDED = HERE / "recorded"
OPTIONS = {  # words of the command line that some cases need
    "tags": ["--tags", "one,role_tag"],
    "skip_tags": ["--skip-tags", "two"],
    "check_mode": ["--check"],
    "extra_vars": ["-e", "first=extra second=2", "-e", '{"third": [1, 2], "first": "later"}'],
    "limit": ["--limit", "web:!h2"],
    "start_at": ["--start-at-task", "the third"],
    "force_handlers": ["--force-handlers"],
    "play_tags": ["--tags", "harvest,always_asked"],
}


def cases() -> list[Path]:
    return sorted((HERE / "cases").glob("*.yml"))


def play(command: list[str], case: Path, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    argv = [
        *command,
        str(case),
        "-i",
        str(HERE / "inventory.ini"),
        "-e",
        f"out_folder={folder}",
        *OPTIONS.get(case.stem, []),
    ]
    clean = {"HOME": str(folder), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "FROM_ENVIRONMENT": "yes"}
    return warm.run(
        argv,
        cwd=HERE,
        env={**clean, **environment},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def with_oracle(bin_folder: Path, case: Path, folder: Path) -> dict[str, Any]:
    """What ansible-core does."""
    environment = {
        "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callback"),
        "ANSIBLE_STDOUT_CALLBACK": "journal",
        "ANSIBLE_LOCALHOST_WARNING": "0",
        "ANSIBLE_DEPRECATION_WARNINGS": "0",
        "ANSIBLE_FORKS": "3",
    }
    done = play([str(bin_folder / "ansible-playbook")], case, folder, environment)
    lines = [line[8:] for line in done.stdout.splitlines() if line.startswith("JOURNAL ")]
    return _sorted_out([json.loads(line) for line in lines], done.returncode)


def with_shepherd(case: Path, folder: Path) -> dict[str, Any]:
    """What Shepherd does, from its events."""
    done = play([sys.executable, "-m", "shepherd", "play", "--output", "json"], case, folder, {})
    found = _sorted_out(list(_notes(done.stdout)), done.returncode)
    if done.stderr.strip():
        found["stderr"] = done.stderr.strip().splitlines()[:12]
    return found


def _notes(output: str) -> Any:
    for line in output.splitlines():
        event = json.loads(line)
        kind = event["event"]
        if kind == "PlayStart":
            yield {"play": event["name"]}
        elif kind == "Recap":
            for host, counts in event["hosts"].items():
                yield {"recap": host, **counts}
        elif kind in ("HostResult", "ItemResult"):
            yield _answer(event, item=kind == "ItemResult")


def _answer(event: dict[str, Any], *, item: bool) -> dict[str, Any]:
    result = event["result"]
    fields = {"host": event["host"], "task": event["task"], "status": event["status"]}
    if item:
        fields["item"] = True
    if event["ignored"] and not item and event["status"] == "failed":
        fields["ignored"] = True
    if (
        "msg" in result
        and event["status"] != "failed"
        and "results" not in result
        and event["speaks"]
        and event.get("action", "debug") == "debug"
    ):
        fields["msg"] = result["msg"]
    message = str(result.get("msg", ""))
    worded_differently = (
        "undefined" in message or "attribute" in message or event.get("action") in ("include_tasks", "include_role")
    )
    if event["status"] == "failed" and not worded_differently:
        fields["failed_msg"] = message[:60]
    return fields


def _sorted_out(notes: list[dict[str, Any]], code: int) -> dict[str, Any]:
    """By host: hosts answer in any order, each host's own answers come in order."""
    hosts: dict[str, list[Any]] = {}
    found: dict[str, Any] = {"exit": code, "plays": [], "hosts": hosts, "recap": {}}
    for note in notes:
        if "play" in note:
            found["plays"].append(note["play"])
        elif "recap" in note:
            found["recap"][note.pop("recap")] = {key: note[key] for key in sorted(note)}
        else:
            hosts.setdefault(note.pop("host"), []).append({key: note[key] for key in sorted(note)})
    return found
