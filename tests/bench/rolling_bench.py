"""Updates while people use the application: `python tests/bench/rolling_bench.py`, as root.

On each lab host a web application of several instances behind one port is updated ten times, the sixth time to an image
that is never well, while clients ask it all the time: with new connections, with ones that they keep busy, ones that
they keep and are quiet on for half a second, and ones on which they are quiet for longer than old instances have to
end. The application knows nothing of updates, keeps connections, and has no handler for signals. At last everything is
played once more. What is asked for is that no request fails and that the last play changes nothing; the exit code is 1
where that is not so.

    --hosts N      on so many lab hosts (2; with --database 3)
    --updates N    so often (10)
    --pause N      seconds that clients are quiet for between two requests (0.02; with --database 0.05): more where one
                   slow processor has to serve them all and do the updates
    --database     the playbook shop/shop.yml: two instances beside a PostgreSQL whose data is in a volume; they write
                   and read there for each request, and in the end it has a row for each answer. The root of both,
                   made by mmdebstrap, is kept in ~/.cache/shepherd-bench
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1] / "containers"))

import images
from load import Load

from shepherd.lab.session import LabHost, LabSession, opened

if TYPE_CHECKING:
    from collections.abc import Sequence

PORT, DRAIN, QUIET = 8098, 3, (0.5, 7.5)
BROKEN = 6  # which update
CACHE = Path.home() / ".cache/shepherd-bench"
PACKAGES = "postgresql,python3-psycopg2"
# of these packages, what neither of the two programs needs: documents, and the compiler for queries that take long
LEFT_OUT = [
    *(f"/usr/share/{name}/*" for name in ("doc", "man", "locale", "i18n")),
    *(f"/usr/lib/{name}*" for name in ("*/libLLVM", "*/libz3", "postgresql/*/lib/bitcode/")),
]


class Plain:
    """An application that answers out of its own memory, twice on each host."""

    hosts, pause = 2, 0.02

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def release(self, number: int) -> list[str]:
        """Have the next play be of that release: the words of the play."""
        images.web(self.folder / "web.tar", str(number), broken=number == BROKEN)
        options: dict[str, Any] = {
            "name": "shop",
            "image": "web:1",
            "replicas": 2,
            "volumes": [images.PYTHON],
            "ports": [f"0.0.0.0:{PORT}:8080"],
            "health": {"http": ":8080/healthz", "interval": "200ms", "retries": 20},
            "stop_timeout": 1,
            "update": {"drain": f"{DRAIN}s"},
        }
        tasks = [{"container_image": {"name": "web:1", "archive": "web.tar"}}, {"container": options}]
        (self.folder / "play.yml").write_text(json.dumps([{"hosts": "lab", "gather_facts": False, "tasks": tasks}]))
        return ["play.yml"]

    def kept(self, host: LabHost) -> int | None:
        """How many requests have left something behind."""


class Shop(Plain):
    """An application with a database."""

    hosts, pause = 3, 0.05

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        shutil.copytree(Path(__file__).parent / "shop", folder, dirs_exist_ok=True)
        root = folder / "database/root.tar"
        try:
            os.link(_root(), root)
        except OSError:
            shutil.copyfile(_root(), root)
        (folder / "secrets.json").write_text(json.dumps({"password": secrets.token_hex()}))

    def release(self, number: int) -> list[str]:
        program = (Path(__file__).parent / "shop/app/shop.py").read_text()
        if number == BROKEN:
            program = program.replace("from orders", "from nowhere")
        (self.folder / "app/shop.py").write_text(program)
        return ["shop.yml", "-e", f"release={number}", "-e", "@secrets.json"]

    def kept(self, host: LabHost) -> int | None:
        words = ["shepherd-runtime", "exec", "shop-database", "/usr/bin/psql", "-h", "/tmp", "-U", "shop", "postgres"]
        return int(host.exec([*words, "-Atc", "select count(*) from orders"]).stdout)


def _root() -> Path:
    """The Debian root for both images."""
    path = CACHE / "shop-root.tar"
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        beside = CACHE / f"shop-root-{os.getpid()}.tar"
        words = ["mmdebstrap", "--variant=minbase", "--skip=output/dev", f"--include={PACKAGES}"]
        words += [f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT]
        words += ['--customize-hook=rm -rf "$1"/var/lib/postgresql/* "$1"/etc/postgresql/*']
        try:
            subprocess.run([*words, "bookworm", str(beside)], check=True)
            beside.rename(path)
        finally:
            beside.unlink(missing_ok=True)
    return path


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--hosts", type=int)
    parser.add_argument("--updates", type=int, default=10)
    parser.add_argument("--pause", type=float)
    parser.add_argument("--database", action="store_true")
    options = parser.parse_args()
    kind = Shop if options.database else Plain
    with tempfile.TemporaryDirectory() as name, opened(f"bench-{os.getpid()}", options.hosts or kind.hosts) as lab:
        application, began = kind(Path(name)), time.monotonic()
        code, _changed = _play(application, lab, 0)
        print(f"from nothing to healthy on {len(lab.hosts)} hosts: {time.monotonic() - began:.1f} s", flush=True)
        return code or _update(application, lab, options.updates, options.pause or kind.pause)


def _update(application: Plain, lab: LabSession, updates: int, pause: float) -> int:
    """The exit code."""
    with ExitStack() as stack:
        loads = [stack.enter_context(Load(host.address, PORT, each=2, pause=pause, quiet=QUIET)) for host in lab.hosts]
        for number in range(1, updates + 1):
            before, began = _requests(loads), time.monotonic()
            known = _failures(loads)
            code, _changed = _play(application, lab, number)
            good = (code != 0) == (number == BROKEN)
            print(
                f"update {number:2}: {'rolled back' if code else 'done':11} in {time.monotonic() - began:5.1f} s, "
                f"{_requests(loads) - before:5} requests meanwhile, {len(_failures(loads))} failed"
                f"{'' if good else ', WHICH IS NOT WHAT SHOULD HAVE HAPPENED'}",
                flush=True,
            )
            print("".join(f"  {text}\n" for text in _failures(loads) if text not in known), end="", flush=True)
            if not good:
                return 1
        for one in loads:
            one.until(str(updates), patience=60)
        code, changed = _play(application, lab, updates)
        print(f"played once more: {changed} changes")
    return 1 if code or changed or not _served(application, lab, loads, updates) else 0


def _served(application: Plain, lab: LabSession, loads: Sequence[Load], updates: int) -> bool:
    """Whether everybody got an answer, of a release that was well."""
    failures = _failures(loads)
    clients = [client for one in loads for client in one.clients]
    print(
        f"{_requests(loads)} requests by {len(clients)} clients on {sum(one.opened for one in loads)} connections: "
        f"{len(failures)} failed; the slowest took {max(client.slowest for client in clients) * 1000:.0f} ms"
    )
    whole = True
    for host, one in zip(lab.hosts, loads, strict=True):
        kept = application.kept(host)
        if kept is not None:
            print(f"{host.name}: {one.bodies.total()} answers, {kept} orders in its database")
            whole = whole and kept == one.bodies.total()
    bodies = {body for one in loads for body in one.bodies}
    return whole and not failures and bodies == {str(one) for one in range(updates + 1)} - {str(BROKEN)}


def _failures(loads: Sequence[Load]) -> list[str]:
    return [text for one in loads for text in one.failures]


def _requests(loads: Sequence[Load]) -> int:
    return sum(one.bodies.total() for one in loads)


def _play(application: Plain, lab: LabSession, number: int) -> tuple[int, int]:
    """The exit code, and how many results were changes."""
    words = [sys.executable, "-m", "shepherd", "play", *application.release(number), "-i", str(lab.inventory)]
    environment = {**os.environ, "XDG_CACHE_HOME": str(application.folder / "cache")}
    done = subprocess.run(
        [*words, "--output", "json"],
        cwd=application.folder,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    events = [json.loads(line) for line in done.stdout.splitlines()]
    results = [event["result"] for event in events if event["event"] == "HostResult"]
    if done.returncode and number != BROKEN:
        print("\n".join(str(one.get("msg")) for one in results if one.get("failed")), done.stderr)
    return done.returncode, sum(bool(one.get("changed")) for one in results)


if __name__ == "__main__":
    sys.exit(main())
