"""Read variables from files of the controller while the play runs."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from shepherd import documents
from shepherd.errors import ParseError, ShepherdError
from shepherd.origin import Origin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shepherd.engine.step import Step

SPEC = {
    "summary": "Load variables from a file, or from the files of a folder",
    "description": "Files are YAML or JSON, on the controller, in `vars/` of the role or beside the playbook.",
    "runs_on": "controller",
    "free_form": "file",
    "options": {
        "file": {"type": "str", "help": "The file."},
        "dir": {"type": "str", "help": "A folder whose files are read in order of their names."},
        "name": {"type": "str", "help": "A variable to put them in, instead of setting each of them."},
        "depth": {"type": "int", "default": 0, "help": "How many levels of folders below `dir` are read; 0: all."},
        "files_matching": {"type": "str", "help": "A regular expression: only files of `dir` whose name it matches."},
        "ignore_files": {
            "type": "list",
            "elements": "str",
            "help": "Regular expressions of names in `dir` to leave out.",
        },
        "extensions": {
            "type": "list",
            "elements": "str",
            "default": ["json", "yaml", "yml"],
            "help": "Endings of names in `dir` that are read.",
        },
        "ignore_unknown_extensions": {
            "type": "bool",
            "default": False,
            "help": "Pass over files of `dir` with other endings, instead of failing.",
        },
        "hash_behaviour": {
            "type": "str",
            "choices": ["replace", "merge"],
            "help": "merge: mappings are joined with those that are set already.",
        },
    },
    "constraints": {"mutually_exclusive": [["file", "dir"]]},
    "returns": {
        "ansible_facts": {"type": "dict", "help": "The variables."},
        "ansible_included_var_files": {"type": "list", "help": "The files read."},
    },
    "check": "full",
    "diff": "none",
    "since": "0.1",
    "examples": """
- name: Names of packages differ by distribution
  include_vars: "{{ ansible_facts['os_family'] | lower }}.yml"

- name: All settings of the site
  include_vars:
    dir: vars/site
    name: site
""",
}


async def run(step: Step) -> dict[str, Any]:
    args = step.args
    if args["dir"] is None and args["file"] is None:
        raise ShepherdError("include_vars needs a file or a dir")
    if args["dir"] is not None:
        paths = list(_folder(step, args))
    else:
        paths = [step.find("vars", args["file"])]
    merged: dict[str, Any] = {}
    for path in paths:
        values = documents.load(path)
        if values is None:
            continue
        if not isinstance(values, dict):
            raise ParseError(f"{path} must be stored as a dictionary/hash", origin=Origin(path))
        merged = _join(merged, values) if args["hash_behaviour"] == "merge" else {**merged, **values}
    if args["hash_behaviour"] == "merge":
        old = {name: step.scope[name] for name in merged if name in step.scope}
        merged = _join(old, merged)
    facts = {args["name"]: merged} if args["name"] else merged
    return {"changed": False, "ansible_facts": facts, "ansible_included_var_files": paths}


def _folder(step: Step, args: dict[str, Any]) -> Iterator[str]:
    root = step.find("vars", args["dir"])
    if not os.path.isdir(root):
        raise ShepherdError(f"{root} is not a directory")
    wanted = re.compile(args["files_matching"]) if args["files_matching"] else None
    ignored = [re.compile(pattern) for pattern in args["ignore_files"] or ()]
    endings = {ending.lstrip(".") for ending in args["extensions"]}
    for folder, folders, names in os.walk(root):
        depth = 1 + os.path.relpath(folder, root).count(os.sep) + (folder != root)
        folders.sort()
        if args["depth"] and depth >= args["depth"]:
            folders.clear()
        for name in sorted(names):
            path = os.path.join(folder, name)
            if wanted and not wanted.search(name):
                continue
            if any(pattern.search(name) for pattern in ignored):
                continue
            if os.path.splitext(name)[1].lstrip(".") not in endings:
                if args["ignore_unknown_extensions"]:
                    continue
                raise ShepherdError(
                    f"{path} does not have a valid extension: {', '.join(args['extensions'])}",
                    hint="ignore_unknown_extensions: true passes over such files",
                )
            yield path


def _join(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    joined = dict(old)
    for key, value in new.items():
        before = joined.get(key)
        joined[key] = _join(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return joined
