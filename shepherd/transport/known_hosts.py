"""known_hosts files: parsed once, indexed by name (sshd(8), section SSH_KNOWN_HOSTS FILE FORMAT).

Plain names are found by a dict. Hashed names (|1|salt|hash) cost one HMAC each, so they are looked at only where the
plain names do not settle it. Lines with wildcards or a negation are tried in turn; there are few of them.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import fnmatch
import hashlib
import hmac
import os
import re
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from shepherd.transport.ssh_errors import Refused

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MARKERS = ("@cert-authority", "@revoked")
_HASH = "|1|"


class Entry(NamedTuple):
    """One line. `names` is the first field as written; `key` the decoded blob."""

    marker: str  # "" or one of MARKERS
    names: str
    key_type: str
    key: bytes
    file: str
    line: int

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.key)

    def matches(self, host: str) -> bool:
        """Whether the line is about `host`: a name in lower case, or [name]:port."""
        if self.names.startswith(_HASH):
            return _hashed_as(self.names, host)
        return match_list(host, self.names.lower())


class KnownHosts:
    """The lines of one file, indexed."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._plain: dict[str, list[Entry]] = {}
        self._hashed: list[tuple[bytes, bytes, Entry]] = []
        self._patterns: list[Entry] = []
        self._by_key: dict[bytes, list[Entry]] = {}
        for entry in entries:
            self.add(entry)

    def add(self, entry: Entry) -> None:
        self._by_key.setdefault(entry.key, []).append(entry)
        if entry.names.startswith(_HASH):
            salt, digest = _split_hash(entry.names)
            self._hashed.append((salt, digest, entry))
        elif any(c in entry.names for c in "*?!"):
            self._patterns.append(entry)
        else:
            for name in set(entry.names.lower().split(",")):
                self._plain.setdefault(name, []).append(entry)

    def named(self, host: str) -> Iterator[Entry]:
        """The lines about `host` that say so in the clear."""
        yield from self._plain.get(host, ())
        for entry in self._patterns:
            if entry.matches(host):
                yield entry

    def hashed(self, host: str) -> Iterator[Entry]:
        """The lines about `host` with a hashed name; costs one hash for each such line of the file."""
        name = host.encode()
        for salt, digest, entry in self._hashed:
            if hmac.digest(salt, name, "sha1") == digest:
                yield entry

    def with_key(self, key: bytes, host: str) -> Iterator[Entry]:
        """The lines about `host` that hold this key; costs no search through hashed names."""
        return (entry for entry in self._by_key.get(key, ()) if entry.matches(host))


class Files:
    """Several known_hosts files read as one, in their order."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._files = [load(path) for path in dict.fromkeys(paths)]

    def about(self, host: str) -> list[Entry]:
        """All lines about `host`."""
        return [e for known in self._files for e in known.named(host)] + [
            e for known in self._files for e in known.hashed(host)
        ]

    def some_about(self, host: str) -> list[Entry]:
        """Lines about `host`, if there are any: those in the clear, else the first hashed one."""
        clear = [e for known in self._files for e in known.named(host)]
        return clear or list(islice((e for known in self._files for e in known.hashed(host)), 1))

    def with_key(self, key: bytes, host: str) -> Iterator[Entry]:
        for known in self._files:
            yield from known.with_key(key, host)

    def revoked(self, key: bytes, host: str) -> Entry | None:
        """The @revoked line for this key and host, or None."""
        return next((entry for entry in self.with_key(key, host) if entry.marker == "@revoked"), None)


def load(path: str) -> KnownHosts:
    """The file at `path`, parsed once for as long as it does not change; empty where there is none."""
    try:
        status = Path(path).stat()
    except OSError:
        return KnownHosts()
    return _load(path, status.st_mtime_ns, status.st_size, status.st_ino)


@lru_cache(maxsize=64)
def _load(path: str, _mtime: int, _size: int, _inode: int) -> KnownHosts:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as handle:
            return KnownHosts(parse(handle.read(), path))
    except OSError:
        return KnownHosts()


def load_keys(path: str) -> frozenset[bytes]:
    """The keys in a file of public keys, one a line (RevokedHostKeys). Raises Refused where it cannot be read, as
    going on without it would trust what it revokes."""
    try:
        with open(path, "rb") as handle:
            data = handle.read()
    except OSError as problem:
        raise Refused(f"cannot read RevokedHostKeys {path}: {problem.strerror}") from None
    if data.startswith(b"SSHKRL"):
        raise Refused(
            f"RevokedHostKeys {path} is a KRL, which cannot be read here", hint="list the public keys instead"
        )
    found = set()
    for line in data.decode("utf-8", "replace").splitlines():
        for word in line.split()[:2]:
            with contextlib.suppress(ValueError):
                found.add(base64.b64decode(word, validate=True))
    return frozenset(found)


def parse(text: str, file: str = "known_hosts") -> Iterator[Entry]:
    """The entries of a file's text. Lines that cannot be understood are passed over, as OpenSSH does."""
    for number, line in enumerate(text.split("\n"), 1):
        fields = line.split(None, 4)
        if not fields or fields[0].startswith("#"):
            continue
        marker = ""
        if fields[0].startswith("@"):
            marker = fields.pop(0)
            if marker not in MARKERS:
                continue
        if len(fields) < 3:
            continue
        names, key_type, encoded = fields[:3]
        if names.startswith(_HASH) and _split_hash(names) == (b"", b""):
            continue
        try:
            key = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            continue
        # the blob begins with its own type: a line that says another is damaged
        if key[4 : 4 + int.from_bytes(key[:4], "big")] != key_type.encode("utf-8", "surrogateescape"):
            continue
        yield Entry(marker, names, key_type, key, file, number)


def fingerprint(key: bytes) -> str:
    """As ssh-keygen -l prints it: SHA256:… without padding."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def format_line(host: str, key_type: str, key: bytes, *, hashed: bool = False) -> str:
    """A line for `host`, its name hashed with a fresh salt where asked for."""
    if hashed:
        salt = os.urandom(20)
        digest = hmac.digest(salt, host.encode(), "sha1")
        host = f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"
    return f"{host} {key_type} {base64.b64encode(key).decode()}\n"


def append(path: str, host: str, key_type: str, key: bytes, *, hashed: bool = False) -> None:
    """Add a key to the end of a file, in one write, so that others who append at the same time lose nothing."""
    Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    line = format_line(host, key_type, key, hashed=hashed)
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            line = "\n" + line
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def match_list(text: str, patterns: str) -> bool:
    """ssh_config(5) PATTERNS: a comma list with * and ?; a negated pattern (!) that matches decides against it."""
    found = False
    for pattern in patterns.split(","):
        if pattern.startswith("!"):
            if match_pattern(text, pattern[1:]):
                return False
        elif match_pattern(text, pattern):
            found = True
    return found


def match_pattern(text: str, pattern: str) -> bool:
    """One pattern: * is any run of characters, ? any one, all others stand for themselves ([ too)."""
    return _compiled(pattern).fullmatch(text) is not None


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(re.sub(r"\*+", "*", pattern).replace("[", "[[]")))


def _split_hash(names: str) -> tuple[bytes, bytes]:
    parts = names.split("|")
    try:
        return base64.b64decode(parts[2], validate=True), base64.b64decode(parts[3], validate=True)
    except (IndexError, binascii.Error, ValueError):
        return b"", b""


def _hashed_as(names: str, host: str) -> bool:
    salt, digest = _split_hash(names)
    return hmac.compare_digest(hmac.digest(salt, host.encode(), "sha1"), digest)
