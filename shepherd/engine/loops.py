"""The items of a loop, and the variables that each brings along."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from shepherd.errors import ParseError
from shepherd.origin import origin_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shepherd.playbook.model import Loop, LoopControl
    from shepherd.templating import Scope, Templates


def items(loop: Loop, scope: Scope, templates: Templates) -> list[Any]:
    """All items, rendered. `loop:` takes a list; `with_X:` gives its terms to the lookup X."""
    written = loop.items
    if loop.lookup is None:
        found = templates.render(written, scope)
        if isinstance(found, (list, tuple)):
            return list(found)
        raise ParseError(
            f"loop needs a list, and {str(written)!r} is a {type(found).__name__}: {_short(found)}",
            origin=origin_of(written),
            hint='with_dict, or `loop: "{{ mapping | dict2items }}"`, goes through a mapping'
            if isinstance(found, dict)
            else None,
        )
    terms = templates.render(written, scope)
    if not isinstance(terms, (list, tuple)):
        terms = [terms]
    found = templates.lookup(loop.lookup, list(terms), scope, wantlist=True)
    return [list(item) if isinstance(item, tuple) else item for item in found]


def scopes(
    control: LoopControl, found: list[Any], scope: Scope, templates: Templates
) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Each item with the variables it brings: loop_var, index_var, ansible_loop."""
    extended = control.extended is not None and bool(templates.render(control.extended, scope))
    everything = control.extended_allitems is None or bool(templates.render(control.extended_allitems, scope))
    last = len(found) - 1
    for number, item in enumerate(found):
        front: dict[str, Any] = {control.loop_var: item, "ansible_loop_var": control.loop_var}
        if control.index_var:
            front[control.index_var] = number
            front["ansible_index_var"] = control.index_var
        if extended:
            loop: dict[str, Any] = {
                "index": number + 1,
                "index0": number,
                "first": number == 0,
                "last": number == last,
                "length": len(found),
                "revindex": len(found) - number,
                "revindex0": last - number,
            }
            if everything:
                loop["allitems"] = found
            if number:
                loop["previtem"] = found[number - 1]
            if number < last:
                loop["nextitem"] = found[number + 1]
            front["ansible_loop"] = loop
        yield item, front


def label(value: Any) -> str:
    """How an item is shown beside its host."""
    if isinstance(value, str):
        return str(value)
    try:
        return str(json.loads(json.dumps(value, default=str)))
    except (TypeError, ValueError):
        return str(value)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
