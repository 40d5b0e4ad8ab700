"""Hashes of passwords, as /etc/shadow holds them.

SHA-crypt after Ulrich Drepper, "Unix crypt using SHA-256 and SHA-512"; MD5-crypt after Poul-Henning Kamp; bcrypt from
the package of that name, which paramiko needs anyway. Python's crypt module is gone since 3.13. Other schemes work
where passlib is installed.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from shepherd.errors import TemplateError
from shepherd.templating.turns import apart

if TYPE_CHECKING:
    from collections.abc import Callable

_ALPHABET = "./" + string.digits + string.ascii_uppercase + string.ascii_lowercase
_SALT = re.compile(r"[./0-9A-Za-z]*")


class _Scheme(NamedTuple):
    """`prefix` opens the hash; salts have `longest` characters unless asked otherwise; `rounds` is the default."""

    prefix: str
    shortest: int
    longest: int
    rounds: int
    fewest: int
    most: int


_SCHEMES = {
    "sha512_crypt": _Scheme("$6$", 0, 16, 656000, 1000, 999999999),
    "sha256_crypt": _Scheme("$5$", 0, 16, 535000, 1000, 999999999),
    "md5_crypt": _Scheme("$1$", 0, 8, 1000, 1000, 1000),
    "bcrypt": _Scheme("$2b$", 22, 22, 12, 4, 31),
}
QUICK = 10_000  # rounds that take hundredths of a second
_ALIASES = {"sha512": "sha512_crypt", "sha256": "sha256_crypt", "md5": "md5_crypt", "blowfish": "bcrypt"}


def new_salt(scheme: str, size: int | None = None) -> str:
    scheme = _ALIASES.get(scheme, scheme)
    known = _SCHEMES.get(scheme)
    length = size if size is not None else known.longest if known else 8
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def crypted(
    password: Any,
    scheme: str,
    *,
    salt: Any = None,
    salt_size: int | None = None,
    rounds: int | None = None,
    ident: str | None = None,
) -> str:
    """The hash of a password. `rounds` None is the scheme's default; `ident` chooses bcrypt's variant (2a, 2b, 2y)."""
    name = _ALIASES.get(scheme, scheme)
    if not isinstance(password, (str, bytes)):
        raise TypeError(f"secret must be unicode or bytes, not {type(password).__name__}")
    secret = password if isinstance(password, bytes) else str(password).encode("utf-8", "surrogateescape")
    if name not in _SCHEMES:
        return _elsewhere(secret, name, salt=salt, salt_size=salt_size, rounds=rounds, ident=ident)
    known = _SCHEMES[name]
    text = str(salt) if salt else new_salt(name, salt_size)
    if not _SALT.fullmatch(text):
        raise TemplateError(f"invalid characters in {name} salt", hint="a salt has letters, digits, . and /")
    if not known.shortest <= len(text) <= known.longest:
        raise TemplateError(f"a {name} salt has {known.shortest or 1} to {known.longest} characters, not {len(text)}")
    number = known.rounds if rounds is None else int(rounds)
    if not known.fewest <= number <= known.most:
        raise TemplateError(f"{name} has {known.fewest} to {known.most} rounds, not {number}")
    if name == "bcrypt":
        return apart(lambda: _bcrypt(secret, text, number, ident or "2b"))
    if name == "md5_crypt":
        return f"$1${text}${_md5(secret, text.encode())}"
    told = "" if number == 5000 else f"rounds={number}$"
    hashing = partial(_sha, secret, text.encode(), number, hashlib.sha512 if name == "sha512_crypt" else hashlib.sha256)
    digest = apart(hashing) if number > QUICK else hashing()
    return f"{known.prefix}{told}{text}${digest}"


def _elsewhere(secret: bytes, name: str, **options: Any) -> str:
    try:
        from passlib import hash as schemes  # type: ignore[import-untyped,unused-ignore]
    except ImportError:
        raise TemplateError(
            f"the scheme {name!r} needs the package passlib", hint=f"without it there are {', '.join(_SCHEMES)}"
        ) from None
    try:
        handler = getattr(schemes, name)
    except AttributeError:
        raise TemplateError(f"unknown scheme {name!r}", hint=f"known are {', '.join(_SCHEMES)}") from None
    salt = options["salt"]
    chosen = {key: value for key, value in options.items() if value is not None and key != "salt"}
    if salt:
        chosen["salt"] = str(salt).encode() if "pbkdf2" in name else str(salt)
    return str(handler.using(**chosen).hash(secret))


def _bcrypt(secret: bytes, salt: str, rounds: int, ident: str) -> str:
    import bcrypt

    base64 = "./" + string.ascii_uppercase + string.ascii_lowercase + string.digits
    last = base64[base64.index(salt[-1]) & 0b110000]  # 22 characters hold 132 bits, of which a salt has 128
    made = bcrypt.hashpw(secret[:72], f"$2b${rounds:02d}${salt[:-1]}{last}".encode()).decode()
    return made.replace("$2b$", f"${ident.strip('$')}$", 1)


def _encoded(digest: bytes, groups: list[tuple[int, ...]]) -> str:
    """crypt's base 64: each group of bytes, the first the most significant, as characters from the low end."""
    found = []
    for group in groups:
        value = 0
        for index in group:
            value = value << 8 | digest[index]
        for _ in range((len(group) * 8 + 5) // 6):
            found.append(_ALPHABET[value & 63])
            value >>= 6
    return "".join(found)


def _stretched(block: bytes, length: int) -> bytes:
    return (block * (length // len(block) + 1))[:length]


def _sha(secret: bytes, salt: bytes, rounds: int, new: Callable[[bytes], Any]) -> str:
    other = new(secret + salt + secret).digest()
    start = bytearray(secret + salt + _stretched(other, len(secret)))
    bits = len(secret)
    while bits:
        start += other if bits & 1 else secret
        bits >>= 1
    digest: bytes = new(bytes(start)).digest()
    p = _stretched(new(secret * len(secret)).digest(), len(secret))
    s = _stretched(new(salt * (16 + digest[0])).digest(), len(salt))
    # what stands before and after the digest in round i depends on i mod 2, 3 and 7 alone
    around = []
    for i in range(42):
        middle = (s if i % 3 else b"") + (p if i % 7 else b"")
        around.append((p + middle, b"") if i % 2 else (b"", middle + p))
    for _ in range(rounds // 42):
        for before, after in around:
            digest = new(before + digest + after).digest()
    for before, after in around[: rounds % 42]:
        digest = new(before + digest + after).digest()
    return _encoded(digest, [*_SHA512, (63,)] if len(digest) == 64 else _SHA256)


def _md5(secret: bytes, salt: bytes) -> str:
    def new(data: bytes) -> bytes:
        return hashlib.md5(data, usedforsecurity=False).digest()

    start = bytearray(secret + b"$1$" + salt + _stretched(new(secret + salt + secret), len(secret)))
    bits = len(secret)
    while bits:
        start += b"\0" if bits & 1 else secret[:1]
        bits >>= 1
    digest = new(bytes(start))
    for i in range(1000):
        middle = (salt if i % 3 else b"") + (secret if i % 7 else b"")
        digest = new(secret + middle + digest) if i % 2 else new(digest + middle + secret)
    return _encoded(digest, _MD5)


# the order in which each scheme writes its digest's bytes
def _turned(width: int, step: int, count: int) -> list[tuple[int, ...]]:
    """Groups of three bytes `width` apart; each next group begins `step` bytes on in the turn."""
    return [tuple((i + width * ((step * i + k) % 3)) for k in range(3)) for i in range(count)]


_SHA512 = _turned(21, 1, 21)
_SHA256 = [*_turned(10, 2, 10), (31, 30)]
_MD5 = [(0, 6, 12), (1, 7, 13), (2, 8, 14), (3, 9, 15), (4, 10, 5), (11,)]
