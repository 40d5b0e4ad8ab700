"""The developers' verbs: `inv check`, `inv test`, `inv bench`, `inv bench-runtime`, `inv fuzz`, `inv fmt`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke.tasks import task

if TYPE_CHECKING:
    from invoke.context import Context


@task
def fmt(c: Context) -> None:
    """Lay the code out and put imports in order."""
    c.run("ruff check --fix-only --quiet . && ruff format --quiet .")


@task
def check(c: Context) -> None:
    """Lint and types."""
    c.run("ruff check . && ruff format --check . && mypy", pty=False)


@task(help={"args": "more words for pytest, such as -k name"})
def test(c: Context, args: str = "") -> None:
    """The whole suite."""
    c.run(f"python -m pytest -n 3 --dist loadgroup {args}")


@task(help={"args": "words for tests/bench/bench.py, such as --hosts 1 --only play"})
def bench(c: Context, args: str = "") -> None:
    """Times beside ansible-core, mitogen and pyinfra on local hosts."""
    c.run(f"python tests/bench/bench.py {args}")


@task(name="bench-runtime", help={"args": "words for tests/bench/runtime/table.py, such as --only starts"})
def bench_runtime(c: Context, args: str = "") -> None:
    """Containers beside runc, crun, bubblewrap, podman, skopeo and umoci, as root."""
    c.run(f"python tests/bench/runtime/table.py {args}")


@task(help={"target": "one of those that tests/runtime/fuzz/fuzz.py names", "seconds": "how long"})
def fuzz(c: Context, target: str, seconds: int = 300) -> None:
    """Fuzz a reader of the container runtime by coverage (needs `pip install -e .[fuzz]`)."""
    c.run(f"python tests/runtime/fuzz/fuzz.py {target} -max_total_time={seconds}")
