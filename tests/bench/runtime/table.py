"""Containers of this runtime beside runc, crun, bubblewrap, podman, Docker, LXC, skopeo and umoci, in one run.

    python tests/bench/runtime/table.py [--only starts,named,many,images,web,work] [--rounds 20] [--python PYTHON]

Everything is done in turn, so that what else the machine does falls on all alike: ratios are medians of the ratios of
neighbours, and say more than times on a machine that is busy. `cpu` is what the processors did for it, which waiting
does not count in. Nothing is asserted. Run it as root. Networks are in a namespace of their own.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import images
import many
import rivals
import starts
import work
from place import Place


def web(folder: str, memory: str, options: argparse.Namespace) -> None:
    """In a network namespace."""
    words = [sys.executable, str(Path(__file__).with_name("web.py")), folder, memory, options.python]
    subprocess.run(["unshare", "--net", "--mount", *words, str(max(2, options.rounds // 5))], check=True)


PARTS = ("starts", "named", "many", "images", "web", "work")


def main() -> None:
    parser = argparse.ArgumentParser(description="containers, beside others")
    parser.add_argument("--only", default=",".join(PARTS), help="parts, with commas between them")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--running", type=int, default=20, help="containers whose monitors are measured")
    parser.add_argument("--many", type=int, default=100, help="containers that are started")
    parser.add_argument("--python", default="/usr/bin/python3", help="the interpreter of the target")
    options = parser.parse_args()
    chosen = options.only.split(",")
    if not set(chosen) <= set(PARTS):
        parser.error(f"parts are {', '.join(PARTS)}")
    if os.geteuid() != 0:
        sys.exit("needs root, for namespaces")
    print(rivals.missing(), end="")
    memory_folder = "/dev/shm" if os.path.isdir("/dev/shm") else None
    for part in PARTS:
        if part not in chosen:
            continue
        with (
            tempfile.TemporaryDirectory() as folder,
            tempfile.TemporaryDirectory(prefix="b", dir=memory_folder) as memory,
        ):
            if part == "web":
                web(folder, memory, options)
                continue
            place = Place(Path(folder), Path(memory), options.python)
            if part == "starts":
                starts.measure(place, options.rounds)
            elif part == "named":
                starts.measure_named(place, options.rounds)
            elif part == "many":
                many.measure(place, options.running, options.many)
            elif part == "images":
                images.measure(place, max(2, options.rounds // 5))
            else:
                work.measure(place, max(3, options.rounds // 2))


if __name__ == "__main__":
    main()
