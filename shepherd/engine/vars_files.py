"""A play's `vars_files`: read as each host sees their names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shepherd.errors import ParseError, ShepherdError, UndefinedVariable
from shepherd.origin import Origin
from shepherd.templating import Layer, find_file

if TYPE_CHECKING:
    from shepherd.engine.run import Run
    from shepherd.engine.state import HostState
    from shepherd.playbook.model import Play


def read(run: Run, play: Play, state: HostState) -> None:
    """Read them for one host; later files win. A name made of facts has to wait until there are facts."""
    if not play.vars_files:
        return
    from shepherd import documents

    layers: list[Layer] = []
    waiting = False
    scope = run.variables.play_scope(state, play)
    base = [run.playbook_dir]
    for written in play.vars_files:
        choices = written if isinstance(written, list) else [written]
        missing: ShepherdError | None = None
        for choice in choices:  # a list means: the first that exists
            try:
                path = find_file("vars", str(run.templates.render(choice, scope)), base)
            except UndefinedVariable as error:
                if not state.facts:
                    waiting, missing = True, None
                    break
                missing = error
                continue
            except ShepherdError as error:
                missing = missing or error
                continue
            values = run.files.get(path) if path in run.files else run.files.setdefault(path, documents.load(path))
            if values is not None and not isinstance(values, dict):
                raise ParseError("a file of variables must be a mapping", origin=Origin(path))
            layers.insert(0, Layer(values or {}, name=f"vars_files {path}"))
            missing = None
            break
        if missing is not None:
            raise missing
    run.variables.set_vars_files(state, layers, waiting=waiting)


def read_again(run: Run, state: HostState) -> None:
    """Facts of the host have come: read what waited for them."""
    if run.play is not None and run.variables.awaits_facts(state):
        read(run, run.play, state)
