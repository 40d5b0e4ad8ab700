"""YAML documents, read with the place of every value.

The C parser composes the nodes; the values are built here, because PyYAML's own constructors drop the marks.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from shepherd.errors import ParseError
from shepherd.origin import Mapping, Origin, Sequence, Text

if TYPE_CHECKING:
    from collections.abc import Callable

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # without libyaml the pure parser serves, ten times slower


class DuplicateKey(UserWarning):
    """A mapping that sets the same key twice: the last one holds, as in Ansible, and the user is told."""


class Loader(_Base):  # type: ignore[misc]  # the base is chosen at run time
    """PyYAML's safe loader; the functions below keep the marks. A kind of file with tags of its own derives one."""

    file: str

    def origin(self, node: yaml.Node) -> Origin:
        mark = node.start_mark
        return Origin(self.file, mark.line + 1, mark.column + 1)


def text(loader: Loader, node: yaml.ScalarNode) -> Text:
    return Text(node.value, loader.origin(node))


def sequence(loader: Loader, node: yaml.SequenceNode) -> Sequence:
    made = Sequence()
    made.origin = loader.origin(node)
    made.extend(loader.construct_object(child, deep=True) for child in node.value)
    return made


def mapping(loader: Loader, node: yaml.MappingNode) -> Mapping:
    loader.flatten_mapping(node)
    made = Mapping()
    made.origin = loader.origin(node)
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        try:
            known = key in made
        except TypeError:
            raise ParseError(
                f"a {type(key).__name__} cannot be the key of a mapping",
                origin=loader.origin(key_node),
                hint='a value that begins with {{ must be quoted: "{{ … }}"',
            ) from None
        if known:
            warnings.warn(
                DuplicateKey(f"{loader.origin(key_node)}: key {key!r} is set twice; the last one holds"), stacklevel=2
            )
        made[key] = loader.construct_object(value_node, deep=True)
    return made


def _unsafe(loader: Loader, node: yaml.Node) -> Any:
    def mark(value: Any) -> Any:
        if isinstance(value, Text):
            value.literal = True
        elif isinstance(value, dict):
            for inner in value.values():
                mark(inner)
        elif isinstance(value, list):
            for inner in value:
                mark(inner)
        return value

    plain: dict[type, Callable[[Loader, Any], Any]] = {
        yaml.ScalarNode: text,
        yaml.SequenceNode: sequence,
        yaml.MappingNode: mapping,
    }
    return mark(plain[type(node)](loader, node))


def _vault(loader: Loader, node: yaml.ScalarNode) -> Any:
    raise ParseError("values encrypted with Ansible Vault are not supported yet", origin=loader.origin(node))


Loader.add_constructor("tag:yaml.org,2002:str", text)
Loader.add_constructor("tag:yaml.org,2002:seq", sequence)
Loader.add_constructor("tag:yaml.org,2002:map", mapping)
Loader.add_constructor("!unsafe", _unsafe)
Loader.add_constructor("!vault", _vault)
Loader.add_constructor("!vault-encrypted", _vault)


def load(path: str | Path, kind: type[Loader] = Loader) -> Any:
    """The document in the file `path`; None where it is empty. Raises ParseError with the place."""
    try:
        content = Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ParseError(f"not UTF-8 text: {error.reason} at byte {error.start}", origin=Origin(str(path))) from None
    except OSError as error:
        raise ParseError(f"cannot read {path}: {error.strerror}") from None
    return load_text(content, str(path), kind)


def load_text(content: str, file: str, kind: type[Loader] = Loader) -> Any:
    """The document in `content`, which errors and origins call `file`."""
    if content.startswith("$ANSIBLE_VAULT"):
        raise ParseError("files encrypted with Ansible Vault are not supported yet", origin=Origin(file))
    loader = kind(content)
    loader.file = file
    try:
        return loader.get_single_data()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Origin(file, mark.line + 1, mark.column + 1) if mark else Origin(file)
        raise ParseError(f"YAML: {error.problem or error.context}", origin=place, hint=_hint(content, place)) from None
    except yaml.YAMLError as error:
        raise ParseError(f"YAML: {error}", origin=Origin(file)) from None
    except ValueError as error:  # an impossible date or number, such as 2020-13-45
        raise ParseError(f"YAML: {error}", origin=Origin(file)) from None
    except RecursionError:
        raise ParseError("YAML: nested too deeply", origin=Origin(file)) from None
    finally:
        loader.dispose()


def _hint(content: str, place: Origin) -> str | None:
    lines = content.splitlines()
    line = lines[place.line - 1] if 0 < place.line <= len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return "indent with spaces; YAML does not allow tabs"
    if "{{" in line and '"{{' not in line and "'{{" not in line:
        return 'a value that begins with {{ must be quoted: "{{ … }}"'
    if line.count(": ") > 1:
        return "a value that contains ': ' must be quoted"
    return None
