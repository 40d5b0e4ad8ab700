"""Filters to and from JSON and YAML."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from shepherd.templating.native import Verbatim
from shepherd.templating.scope import Scope
from shepherd.templating.undefined import Undefined


def _encode(value: Any) -> Any:
    if isinstance(value, Undefined):
        value._fail_with_undefined_error()
    if isinstance(value, Scope):
        return value.known()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if hasattr(value, "__iter__") and not isinstance(value, (set, frozenset)):
        return list(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def to_json(value: Any, **options: Any) -> str:
    for name in ("vault_to_text", "preprocess_unsafe"):  # of Ansible's encoder: there is nothing for them to do here
        options.pop(name, None)
    return Verbatim(json.dumps(value, default=_encode, **options))


def to_nice_json(value: Any, indent: int = 4, sort_keys: bool = True, **options: Any) -> str:
    options.pop("separators", None)
    return to_json(value, indent=indent, sort_keys=sort_keys, separators=(",", ": "), **options)


def from_json(value: Any) -> Any:
    return json.loads(value)


def _dumper() -> Any:
    import yaml

    from shepherd.origin import Mapping as OriginMapping
    from shepherd.origin import Sequence, Text

    global _known
    if _known is None:

        class Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]  # chosen at run time
            pass

        def text(dumper: Any, value: str) -> Any:
            return dumper.represent_str(str(value))

        def mapping(dumper: Any, value: Any) -> Any:
            return dumper.represent_dict(_encode(value))

        def undefined(_: Any, value: Any) -> Any:
            value._fail_with_undefined_error()

        for kind in (Text, Verbatim):
            Dumper.add_representer(kind, text)
        Dumper.add_representer(OriginMapping, mapping)
        Dumper.add_representer(Scope, mapping)
        Dumper.add_representer(Sequence, lambda dumper, value: dumper.represent_list(list(value)))
        Dumper.add_representer(Undefined, undefined)
        _known = Dumper
    return _known


_known: Any = None


def to_yaml(value: Any, *, default_flow_style: bool | None = None, **options: Any) -> str:
    import yaml

    options.pop("vault_to_text", None)
    return Verbatim(
        yaml.dump(value, Dumper=_dumper(), allow_unicode=True, default_flow_style=default_flow_style, **options)
    )


def to_nice_yaml(value: Any, indent: int = 4, default_flow_style: bool | None = False, **options: Any) -> str:
    return to_yaml(value, indent=indent, default_flow_style=default_flow_style, **options)


def from_yaml(value: Any) -> Any:
    import yaml

    if value is None:
        return None
    if not isinstance(value, str):
        return value
    return yaml.load(str(value), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  # both are safe


def from_yaml_all(value: Any) -> Any:
    import yaml

    if value is None:
        return []
    if not isinstance(value, str):
        return value
    return list(yaml.load_all(str(value), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


FILTERS = {
    "to_json": to_json,
    "to_nice_json": to_nice_json,
    "from_json": from_json,
    "to_yaml": to_yaml,
    "to_nice_yaml": to_nice_yaml,
    "from_yaml": from_yaml,
    "from_yaml_all": from_yaml_all,
}
