"""Time Shepherd beside its rivals: the same hosts, the same run, one after the other in turn.

    python tests/bench/bench.py [--hosts 1 10] [--rounds 5] [--only play ping …] [--venvs FOLDER]

Each contender plays the same play; rounds are interleaved, so that a slow minute of the machine slows all of them.
Printed: the median wall time, processor time and peak memory of the controller, and how many times as long as
Shepherd each took. Nothing is asserted. Rivals come from PyPI into virtual environments of their own.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).resolve().parent
VENVS = {
    "ansible": ["ansible-core>=2.18,<2.19"],
    "mitogen": ["ansible-core>=2.18,<2.19", "mitogen"],
    "pyinfra": ["pyinfra>=3,<4"],
}
LAB = "bench"


@dataclass
class Sample:
    wall: float
    cpu: float
    memory: float  # MiB, of the largest process


@dataclass
class Contender:
    name: str
    command: Callable[[Path, list[str]], list[str]]  # (inventory, hosts) → argv
    environment: dict[str, str] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)


def measure(argv: list[str], environment: dict[str, str], folder: Path) -> tuple[Sample, str]:
    """One run as a whole process. Raises where it fails: a time of a failed run says nothing."""
    log = folder / "output"
    began = time.perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(
            argv,
            cwd=HERE,
            env={**base_environment(folder), **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - began
    text = log.read_text(errors="replace")
    if process.returncode:
        raise SystemExit(f"{' '.join(argv)}: exit code {process.returncode}\n{text[-3000:]}")
    return Sample(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024), text


def base_environment(folder: Path) -> dict[str, str]:
    """A clean home, and compiled Python kept, as on anybody's machine."""
    return {"HOME": str(folder), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TERM": "dumb"}


def venv(folder: Path, name: str) -> Path:
    """The virtual environment of a rival, made when it is not there."""
    place = folder / name
    if not (place / "bin" / "python").exists():
        print(f"installing {', '.join(VENVS[name])} into {place}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
        subprocess.run([place / "bin" / "pip", "install", "-q", *VENVS[name]], check=True)
    return place


def contenders(
    venvs: Path, what: str, play: str, key: str, known_hosts: str, hosts_vars: dict[str, str]
) -> list[Contender]:
    shepherd = [sys.executable, "-m", "shepherd"]
    found = [Contender("shepherd", lambda inventory, _: [*shepherd, "play", play, "-i", str(inventory)])]
    pipelining = {
        "ANSIBLE_PIPELINING": "1",
        "ANSIBLE_FORKS": "20",
        "ANSIBLE_LOCALHOST_WARNING": "0",
        "ANSIBLE_HOST_KEY_CHECKING": "1",
    }
    ansible = venv(venvs, "ansible") / "bin" / "ansible-playbook"
    found.append(Contender("ansible-core", lambda inventory, _: [str(ansible), play, "-i", str(inventory)], pipelining))
    mitogen = venv(venvs, "mitogen")
    plugins = next(mitogen.glob("lib/python*/site-packages/ansible_mitogen/plugins/strategy"))
    found.append(
        Contender(
            "mitogen",
            lambda inventory, _: [str(mitogen / "bin" / "ansible-playbook"), play, "-i", str(inventory)],
            {**pipelining, "ANSIBLE_STRATEGY_PLUGINS": str(plugins), "ANSIBLE_STRATEGY": "mitogen_linear"},
        )
    )
    if what in ("play", "first run", "ping"):
        pyinfra = venv(venvs, "pyinfra") / "bin" / "pyinfra"
        operation = ["deploy.py"] if what != "ping" else ["exec", "--", "true"]

        def pyinfra_command(_: Path, hosts: list[str]) -> list[str]:
            targets = ",".join(hosts_vars[host] for host in hosts)
            return [
                str(pyinfra), "-y", "--ssh-user", "root", "--ssh-key", key, "--data",
                f"ssh_known_hosts_file={known_hosts}", targets, *operation,
            ]  # fmt: skip

        found.append(Contender("pyinfra", pyinfra_command))
    return found


def table(title: str, contenders: list[Contender]) -> None:
    print(f"\n{title}")
    print(
        f"  {'':14} {'wall s':>8} {'cpu s':>8} {'MiB':>7} {'× shepherd':>11}"
        f"   (medians of {len(contenders[0].samples)})"
    )
    for contender in contenders:
        wall = statistics.median(sample.wall for sample in contender.samples)
        cpu = statistics.median(sample.cpu for sample in contender.samples)
        memory = statistics.median(sample.memory for sample in contender.samples)
        ratios = [
            theirs.wall / ours.wall for theirs, ours in zip(contender.samples, contenders[0].samples, strict=True)
        ]
        print(
            f"  {contender.name:14} {wall:8.2f} {cpu:8.2f} {memory:7.0f} {statistics.median(ratios):11.2f}", flush=True
        )


class Lab:
    """The hosts that are measured, and a way to forget what a play did to them."""

    def __init__(self, size: int, folder: Path) -> None:
        self.folder = folder
        self.inventory = folder / "inventory"
        subprocess.run(
            [
                sys.executable,
                "-m",
                "shepherd",
                "lab",
                "up",
                str(size),
                "--name",
                LAB,
                "--inventory",
                str(self.inventory),
            ],
            check=True,
        )
        text = self.inventory.read_text()
        self.addresses = dict(re.findall(r"^(\S+)[ \t].*?ansible_host=(\S+)", text, re.M))
        self.key = re.search(r"ansible_ssh_private_key_file=(\S+)", text).group(1)  # type: ignore[union-attr]
        self.known_hosts = re.search(r"UserKnownHostsFile=([^\s'\"]+)", text).group(1)  # type: ignore[union-attr]

    def part(self, size: int) -> tuple[Path, list[str]]:
        """An inventory of the first `size` hosts."""
        hosts = list(self.addresses)[:size]
        path = self.folder / f"inventory-{size}"
        lines = [f"{host} ansible_host={self.addresses[host]}" for host in hosts]
        path.write_text(
            "[all]\n"
            + "\n".join(lines)
            + "\n[all:vars]\nansible_user=root\nansible_python_interpreter=/usr/bin/python3\n"
            f"ansible_ssh_private_key_file={self.key}\n"
            f"ansible_ssh_common_args=-o UserKnownHostsFile={self.known_hosts}\n"
        )
        return path, hosts

    def reset(self, hosts: list[str]) -> None:
        for host in hosts:
            script = (
                "rm -rf /srv/bench /srv/bench-loop; for p in ann ben cid; do userdel bench-$p; done; groupdel bench"
            )
            subprocess.run(
                [sys.executable, "-m", "shepherd", "lab", "exec", "--name", LAB, host, "sh", "-c", script],
                capture_output=True,
                check=False,
            )

    def down(self) -> None:
        subprocess.run([sys.executable, "-m", "shepherd", "lab", "down", "--name", LAB], check=False)


def compare(
    lab: Lab, venvs: Path, what: str, play: str, size: int, rounds: int, *, fresh: bool = False
) -> list[Contender]:
    inventory, hosts = lab.part(size)
    found = contenders(venvs, what, play, lab.key, lab.known_hosts, lab.addresses)
    lab.reset(hosts)
    if not fresh:
        for contender in found:  # each converges in its own way once, so that what is timed changes nothing
            measure(contender.command(inventory, hosts), contender.environment, lab.folder)
    for _ in range(rounds):
        for contender in found:
            if fresh:
                lab.reset(hosts)
            elif contender.name == "pyinfra" and what == "play":
                measure(contender.command(inventory, hosts), contender.environment, lab.folder)
            sample, _text = measure(contender.command(inventory, hosts), contender.environment, lab.folder)
            contender.samples.append(sample)
            if not fresh and what == "play" and contender.name == "pyinfra":  # the two spell lines differently
                measure(found[0].command(inventory, hosts), found[0].environment, lab.folder)
    table(f"{what}, {size} host{'s' if size > 1 else ''}", found)
    return found


def floor(lab: Lab, size: int, rounds: int, runs: int, ours: list[Sample]) -> None:
    _, hosts = lab.part(size)
    argv = [sys.executable, str(HERE / "floor.py"), str(runs), lab.key, *(lab.addresses[host] for host in hosts)]
    samples = [measure(argv, {}, lab.folder)[0] for _ in range(rounds + 1)][1:]
    wall = statistics.median(sample.wall for sample in samples)
    shepherd = statistics.median(sample.wall for sample in ours)
    print(
        f"  {'the floor':14} {wall:8.2f} {statistics.median(s.cpu for s in samples):8.2f}"
        f"   {runs} runs; shepherd is {shepherd / wall:.2f} × it",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=["play", "first", "ping", "loop", "skipped"])
    parser.add_argument("--venvs", type=Path, default=Path("~/.cache/shepherd-bench").expanduser())
    parser.add_argument("--runs", type=int, default=45, help="module runs of the play, for the floor")
    options = parser.parse_args()
    folder = Path("/tmp/shepherd-bench-home")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    lab = Lab(max([*options.hosts, 20 if "ping" in options.only else 1]), folder)
    try:
        for size in options.hosts:
            if "play" in options.only:
                found = compare(lab, options.venvs, "play", "play.yml", size, options.rounds)
                floor(lab, size, options.rounds, options.runs, found[0].samples)
            if "first" in options.only:
                compare(lab, options.venvs, "first run", "play.yml", size, options.rounds, fresh=True)
        for what, play, size in (("ping", "ping.yml", 20), ("loop", "loop.yml", 1), ("skipped", "skipped.yml", 1)):
            if what in options.only:
                compare(lab, options.venvs, what, play, size, options.rounds)
    finally:
        lab.down()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
