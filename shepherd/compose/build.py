"""`build` of a service: a folder with a Containerfile, by its path or with options."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from shepherd.compose import grant, shape
from shepherd.origin import Mapping

if TYPE_CHECKING:
    from shepherd.compose.where import Where

_LOCAL = "images are built on the controller or on the target"


def _context(value: Any, where: Where) -> str:
    found = shape.word(value, where)
    if "://" in found or found.startswith("git@"):
        raise where.error("a build from elsewhere is not supported", "clone it, and name the folder")
    return os.path.abspath(os.path.join(where.folder, os.path.expanduser(found)))


_FIELDS = {
    "context": _context,
    "dockerfile": shape.word,
    "args": shape.pairs,
    "target": shape.word,
    "network": shape.choice("none", "host", "default"),
    "no_cache": shape.unsupported("steps that were made are not made again"),
    "dockerfile_inline": shape.text,
    "labels": shape.pairs,
    "secrets": grant.build_secrets,
    "tags": shape.strings,
    "platforms": shape.meaningless("an image is of the kind of machine that builds it"),
    "pull": shape.meaningless("bases that are there are used"),
    "cache_from": shape.meaningless("steps that were made are kept by themselves"),
    "cache_to": shape.meaningless("steps that were made are kept by themselves"),
    "provenance": shape.meaningless("nothing is attested"),
    "sbom": shape.meaningless("nothing is attested"),
    **{
        name: shape.unsupported()
        for name in (
            "additional_contexts", "entitlements", "extra_hosts", "isolation", "privileged", "shm_size", "ssh",
            "ulimits",
        )
    },
}  # fmt: skip


def build(value: Any, where: Where) -> Mapping:
    """The fields; `context` is an absolute path."""
    found: Mapping
    if isinstance(value, dict):
        found = shape.fields(_FIELDS)(value, where)
    else:
        found = Mapping(context=_context(value, where))
    if "dockerfile_inline" in found and "dockerfile" in found:
        raise where.error("`dockerfile` and `dockerfile_inline` exclude one another")
    if "context" not in found:
        if "dockerfile_inline" not in found:
            raise where.error("should say its `context`, a folder")
        found["context"] = _context(".", where)
    return found


def declared(
    found: dict[str, Any], name: str, variables: dict[str, str], secrets: dict[str, str], where: Where
) -> dict[str, Any]:
    """The options of `container_image` for it. An argument without a value has that of the variable of its name.

    `secrets` are the texts of those that it has.
    """
    if not os.path.isdir(found["context"]):
        raise where.error(f"there is no folder {found['context']}")
    values = {key: variables.get(key) if value is None else value for key, value in found.get("args", {}).items()}
    made = {
        "name": name,
        "build": found["context"],
        "build_args": {key: value for key, value in values.items() if value is not None},
        "build_network": found.get("network") in ("host", "default"),
    }
    for name, option in (
        ("dockerfile", "containerfile"),
        ("dockerfile_inline", "containerfile_content"),
        ("target", "build_target"),
    ):
        if name in found:
            made[option] = found[name]
    if "labels" in found:
        made["build_labels"] = {key: value or "" for key, value in found["labels"].items()}
    if secrets:
        made["build_secrets"] = secrets
    return made
