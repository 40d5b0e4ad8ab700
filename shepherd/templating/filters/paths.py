"""Filters on paths of files (of the controller's notation) and of Windows."""

# ruff: noqa: PTH111, PTH113, PTH207 -- filters take and give names of files as text
from __future__ import annotations

import glob
import ntpath
import os.path
from typing import Any


def path_join(value: Any) -> str:
    if isinstance(value, str):
        return str(value)
    if isinstance(value, (list, tuple)):
        return str(os.path.join(*value))
    raise TypeError(f"|path_join expects string or sequence, got {type(value)} instead.")


def commonpath(value: Any) -> str:
    return str(os.path.commonpath(value))


def fileglob(pattern: str) -> list[str]:
    return [path for path in glob.glob(pattern) if os.path.isfile(path)]


def expanduser(value: str) -> str:
    return os.path.expanduser(value)


def expandvars(value: str) -> str:
    return os.path.expandvars(value)


def relpath(value: str, start: str = os.curdir) -> str:
    return os.path.relpath(value, start)


FILTERS = {
    "basename": os.path.basename,
    "dirname": os.path.dirname,
    "normpath": os.path.normpath,
    "realpath": os.path.realpath,
    "splitext": os.path.splitext,
    "expanduser": expanduser,
    "expandvars": expandvars,
    "relpath": relpath,
    "path_join": path_join,
    "commonpath": commonpath,
    "fileglob": fileglob,
    "win_basename": ntpath.basename,
    "win_dirname": ntpath.dirname,
    "win_splitdrive": ntpath.splitdrive,
}
