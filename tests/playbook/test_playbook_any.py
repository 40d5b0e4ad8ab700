"""Whatever YAML stands in a playbook, it is read or refused with a message; never a traceback."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playbook_trees import loader, tasks, write

from shepherd.errors import ShepherdError
from shepherd.playbook import keywords, load
from shepherd.playbook.listing import lines
from shepherd.spec import names

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 300),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "x", "yes", "a=b", "{{ x }}", "{{", "a b", "all", "r", "more.yml", "'", "5%", "main", "../r"]),
    st.text(max_size=4),
)
WORDS = [
    *keywords.PLAY,
    *keywords.HANDLER,
    *keywords.BLOCK,
    *keywords.ROLE,
    *names(),
    "with_items",
    "with_x",
    "import_playbook",
]
KEYS = st.one_of(st.sampled_from(sorted(set(WORDS))), st.text(max_size=3), st.sampled_from([None, True, 1, 2.5]))
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)
TASKS = st.dictionaries(st.sampled_from([*keywords.HANDLER, *keywords.BLOCK, *names()]), VALUES, min_size=1, max_size=4)
PLAYS = st.fixed_dictionaries(
    {"hosts": st.just("all")},
    optional={
        "tasks": st.lists(TASKS, max_size=3) | VALUES,
        "handlers": st.lists(TASKS, max_size=3) | VALUES,
        "roles": st.lists(st.dictionaries(st.sampled_from([*keywords.ROLE, "x"]), VALUES, max_size=4), max_size=2)
        | VALUES,
        **{name: VALUES for name in keywords.PLAY if name not in ("hosts", "tasks", "handlers", "roles")},
    },
)


def read(files: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), {name: yaml.safe_dump(value) for name, value in files.items()})
        try:
            playbook = load(f"{folder}/play.yml", loader=loader())
        except ShepherdError as error:
            assert error.message
            assert error.render()
        else:
            for play in playbook.plays:
                list(tasks(play))
            list(lines(playbook, tasks=True, tags=True))


@given(VALUES | st.lists(PLAYS, max_size=2))
@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_any_playbook(document: Any) -> None:
    read({"play.yml": document})


@given(st.lists(TASKS, max_size=3) | VALUES, VALUES, VALUES, VALUES)
@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_any_role(written: Any, variables: Any, meta: Any, more: Any) -> None:
    play = [{"hosts": "all", "roles": ["r"], "tasks": [{"import_tasks": "more.yml"}]}]
    files = {"roles/r/tasks/main.yml": written, "roles/r/vars/main.yml": variables, "roles/r/meta/main.yml": meta}
    read({"play.yml": play, "more.yml": more, **files})
