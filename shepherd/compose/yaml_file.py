"""The YAML of Compose files: documents with origins, the tags of merging, and the scalars of YAML 1.2.

A Compose file is written for a parser that has no numbers to the base of sixty (`22:22` is a text, and publishes a
port), and to which `yes` and `on` and dates are texts.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

from shepherd import documents
from shepherd.compose.where import ComposeError

if TYPE_CHECKING:
    from shepherd.origin import Origin


class Reset:
    """`!reset`: what the files before have here is no more."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin


class Override:
    """`!override`: this is not merged with what the files before have here."""

    def __init__(self, value: Any, origin: Origin) -> None:
        self.value = value
        self.origin = origin


class Loader(documents.Loader):
    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Merge keys (`<<`): what a mapping says itself holds. What it says twice is an error."""
        own: set[str] = set()
        for key, _value in node.value:
            if key.value in own and key.tag != _MERGE:
                raise ComposeError(f"{key.value} is there twice", origin=self.origin(key))
            own.add(key.value if isinstance(key.value, str) else "")
        super().flatten_mapping(node)
        node.value = list({str(key.value): (key, value) for key, value in node.value}.values())


def _reset(loader: Loader, node: yaml.Node) -> Reset:
    return Reset(loader.origin(node))


def _override(loader: Loader, node: yaml.Node) -> Override:
    value: Any
    if isinstance(node, yaml.MappingNode):
        value = documents.mapping(loader, node)
    elif isinstance(node, yaml.SequenceNode):
        value = documents.sequence(loader, node)
    else:
        value = loader.construct_scalar(node)
    return Override(value, loader.origin(node))


_MERGE = "tag:yaml.org,2002:merge"
_UNLIKE = {"tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"}
Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag not in _UNLIKE]
    for first, found in documents.Loader.yaml_implicit_resolvers.items()
}
for _tag, _pattern, _first in (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("int", r"^[-+]?(?:0|0o?[0-7]+|[1-9][0-9]*|0x[0-9a-fA-F]+)$", "-+0123456789"),
    ("float", r"^[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?$", "-+.0123456789"),
):
    Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), list(_first))
Loader.add_constructor("!reset", _reset)
Loader.add_constructor("!override", _override)


def read(path: str) -> Any:
    """The document in a file. Raises ParseError with the place."""
    return documents.load(path, Loader)
