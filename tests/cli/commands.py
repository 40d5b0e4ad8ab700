"""The command in this process: what it said and its exit code."""

from __future__ import annotations

import contextlib
import io
import os
from typing import TYPE_CHECKING, NamedTuple

from shepherd.cli import main

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Said(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def both(self) -> str:
        return self.out + self.err


def shepherd(words: Sequence[str], cwd: Path) -> Said:
    """Run it where `cwd` is the working folder. What it changes of the environment is taken back."""
    out, err = io.StringIO(), io.StringIO()
    before, environment = os.getcwd(), dict(os.environ)
    os.chdir(cwd)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(list(words))
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        os.chdir(before)
        os.environ.clear()
        os.environ.update(environment)
    return Said(code, out.getvalue(), err.getvalue())
