"""Which tasks --tags and --skip-tags leave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from shepherd.playbook.model import Task


def selected(
    task: Task,
    wanted: Collection[str],
    unwanted: Collection[str] = frozenset(),
    render: Callable[[str], Any] | None = None,
) -> bool:
    """Whether `task` is to run. `wanted` are the names after --tags (none: all), `unwanted` those after --skip-tags.

    `all`, `tagged`, `untagged`, `always` and `never` have their special meanings. `render` renders tags that are
    templates; without it they match by their text.
    """
    tags = rendered(task.settings.tags, render)
    return matches(tags, wanted, unwanted)


def matches(tags: Collection[str], wanted: Collection[str], unwanted: Collection[str]) -> bool:
    tags = frozenset(tags) or frozenset(("untagged",))
    tagged = tags != {"untagged"}
    if wanted:
        taken = (
            "always" in tags
            or ("all" in wanted and "never" not in tags)
            or not tags.isdisjoint(wanted)
            or ("tagged" in wanted and tagged and "never" not in tags)
        )
    else:
        taken = "never" not in tags
    if not taken or not unwanted:
        return taken
    if "all" in unwanted:
        return "always" in tags and "always" not in unwanted
    return tags.isdisjoint(unwanted) and not ("tagged" in unwanted and tagged)


def rendered(tags: Collection[str], render: Callable[[str], Any] | None) -> frozenset[str]:
    """The tags with templates rendered: a list gives several."""
    if render is None or not any("{" in tag for tag in tags):
        return frozenset(tags)
    found: set[str] = set()
    for tag in tags:
        value = render(tag) if "{" in tag else tag
        found.update(map(str, value) if isinstance(value, (list, tuple, set)) else (str(value),))
    return frozenset(found)
