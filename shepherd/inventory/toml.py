"""TOML inventories: as those in YAML, but the children of a group are a list of names."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

from shepherd.errors import ParseError
from shepherd.inventory import structure
from shepherd.origin import Origin

if TYPE_CHECKING:
    from shepherd.inventory.inventory import Inventory


def parse(text: str, file: str, inventory: Inventory) -> None:
    """Add what `text` says to `inventory`. Raises ParseError with the file."""
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ParseError(f"TOML: {error}", origin=Origin(file)) from None
    for body in document.values():
        if isinstance(body, dict) and isinstance(body.get("children"), list):
            body["children"] = {str(name): None for name in body["children"]}
    structure.parse(document, file, inventory)
