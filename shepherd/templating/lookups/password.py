"""`password`: a random password, made once and kept in a file of the controller."""

# ruff: noqa: PTH100, PTH103, PTH105, PTH111 -- names of files are text here
from __future__ import annotations

import os
import random
import secrets
import string
from typing import TYPE_CHECKING, Any

from shepherd.errors import TemplateError
from shepherd.templating import passwords

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shepherd.templating.lookups import Lookup
    from shepherd.templating.lookups.asking import Asking

_OPTIONS = ("length", "encrypt", "chars", "ident", "seed")
_CHARS = ("ascii_letters", "digits", ".,:-_")


def password(terms: list[Any], asking: Asking) -> list[Any]:
    """For each term (`path length=20 chars=digits encrypt=sha512_crypt`) the password in that file, made if missing.

    The path /dev/null makes a new one each time. With `encrypt` its hash is given, whose salt the file keeps too.
    """
    asking.known(_OPTIONS)
    return [_one(str(term), asking) for term in terms]


def _one(term: str, asking: Asking) -> str:
    path, told = _told(term, asking)
    scheme, ident = told.get("encrypt"), told.get("ident")
    if path == "/dev/null":
        text = _new(told)
        return passwords.crypted(text, _scheme(scheme), ident=ident) if scheme else text
    path = os.path.abspath(os.path.join(asking.home, os.path.expanduser(path)))
    with _locked(path):
        kept, salt, kept_ident = _read(path)
        changed = kept is None
        text = kept if kept is not None else _new(told)
        if scheme:
            if salt is None:
                salt, changed = passwords.new_salt(_scheme(scheme)), True
            if ident is None:
                ident = kept_ident
            elif kept_ident is None:
                changed = True
        if changed:
            _write(path, text, salt if scheme else None, ident if scheme else None)
    return passwords.crypted(text, _scheme(scheme), salt=salt, ident=ident) if scheme else text


def _told(term: str, asking: Asking) -> tuple[str, Asking]:
    """The path, which may contain spaces, and the options after it."""
    words = term.split(" ")
    cut = next((index for index, word in enumerate(words) if "=" in word and index), len(words))
    for word in words[cut:]:
        if word and word.partition("=")[0] not in _OPTIONS:
            raise TemplateError(f"Unrecognized parameter(s) given to password lookup: {word.partition('=')[0]}")
    _, told = asking.written_in(" ".join(words[cut:]), _OPTIONS)
    return " ".join(words[:cut]), told


def _scheme(name: Any) -> str:
    return "sha512_crypt" if name is True else str(name)


def _new(asking: Asking) -> str:
    chars = "".join(str(getattr(string, part, part)) for part in _char_sets(asking.get("chars")))
    length = asking.number("length", 20)
    seed = asking.get("seed")
    if seed is not None:
        generator = random.Random(str(seed))  # noqa: S311  # a seed is asked for: the same each time
        return "".join(generator.choice(chars) for _ in range(length))
    return "".join(secrets.choice(chars) for _ in range(length))


def _char_sets(value: Any) -> Sequence[str]:
    """Names of the string module's constants, or characters; `,,` in a text means a comma itself."""
    if value is None:
        return _CHARS
    if not isinstance(value, str):
        return [str(each) for each in value]
    found = [","] if ",," in value else []
    return found + [part for part in value.replace(",,", ",").split(",") if part]


def _read(path: str) -> tuple[str | None, str | None, str | None]:
    """Password, salt and ident of a file: `password salt=… ident=…`."""
    try:
        with open(path, encoding="utf-8") as handle:
            text = handle.read().rstrip("\n")
    except FileNotFoundError:
        return None, None, None
    text, _, ident = text.partition(" ident=")
    text, _, salt = text.rpartition(" salt=") if " salt=" in text else (text, "", "")
    return text, salt or None, ident or None


def _write(path: str, text: str, salt: str | None, ident: str | None) -> None:
    content = text + (f" salt={salt}" if salt else "") + (f" ident={ident}" if ident else "") + "\n"
    beside = f"{path}.{os.getpid()}.new"
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(content)
    os.replace(beside, path)


class _locked:  # noqa: N801  # reads as a word in `with`
    """Keeps other runs from making the same password at the same time. Makes the directory."""

    def __init__(self, path: str) -> None:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        self._directory = os.path.dirname(path)
        self._handle = -1

    def __enter__(self) -> None:
        import fcntl

        self._handle = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(self._handle, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        os.close(self._handle)


LOOKUPS: dict[str, Lookup] = {"password": password}
