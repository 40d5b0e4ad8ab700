"""What a lab leaves in the machine, read without the code under test."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests import warm

if TYPE_CHECKING:
    import subprocess

LAB = [sys.executable, "-m", "shepherd.lab"]


def lab(*words: str, check: bool = True, **options: object) -> subprocess.CompletedProcess[str]:
    return warm.run([*LAB, *words], capture_output=True, text=True, check=check, timeout=100, **options)


def traces(name: str, bridges: set[str] = frozenset()) -> list[str]:
    """Everything on this machine that belongs to the lab `name`."""
    found = [
        f"mount {line}" for line in Path("/proc/mounts").read_text().splitlines() if f"shepherd-lab/{name}" in line
    ]
    links = [link for link in os.listdir("/sys/class/net") if link.split("-")[0] in bridges]
    elsewhere = claimed()  # a bridge that is gone leaves its name to the next lab, beside this test
    found += [f"interface {link}" for link in links if link.split("-")[0] not in elsewhere]
    found += [f"file {path}" for path in Path("/run").glob(f"shepherd-lab/{name}*")]
    # a walk takes it that groups of others go away meanwhile
    for folder, _folders, _files in os.walk("/sys/fs/cgroup"):
        if folder.endswith(f"/shepherd-lab/{name}"):
            found.append(f"cgroup {folder}")
    return found + [f"process {pid}" for pid in pids(name)]


def pids(name: str) -> list[int]:
    """Processes that live in a host of the lab, by the root of their mount namespace."""
    found = []
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit() and f"shepherd-lab/{name}/" in Path("/proc", entry, "mountinfo").read_text():
                found.append(int(entry))
        except OSError:
            pass
    return found


def bridges(name: str) -> set[str]:
    """The interfaces on which the lab's addresses are, by its state."""
    state = json.loads(Path(f"/run/shepherd-lab/{name}/state.json").read_text())
    return {state["bridge"]} - {""}


def claimed() -> set[str]:
    """The bridges of all labs that are up: a lab writes its state before it makes its bridge."""
    found = set()
    for state in Path("/run/shepherd-lab").glob("*/state.json"):
        with contextlib.suppress(OSError, ValueError):  # it comes or goes at this moment
            found.add(json.loads(state.read_text())["bridge"])
    return found


def alive(pid: int) -> bool:
    """Whether a process runs. One that has ended may wait a moment for the machine's init to take note of it."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
