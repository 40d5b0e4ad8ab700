"""OpenSSH certificates of hosts (PROTOCOL.certkeys): who signed which key for which names, and until when."""

from __future__ import annotations

import struct
import time
from typing import NamedTuple

from shepherd.transport import paramiko_lazily
from shepherd.transport.known_hosts import match_pattern

SUFFIX = "-cert-v01@openssh.com"
_HOST = 2
# how many fields of the public key follow the nonce
_KEY_FIELDS = {"ssh-rsa": 2, "ssh-ed25519": 1} | {f"ecdsa-sha2-nistp{size}": 2 for size in (256, 384, 521)}


class Certificate(NamedTuple):
    """A parsed certificate. `key` and `authority` are plain public key blobs; times are seconds since 1970."""

    key: bytes
    kind: int
    identity: str
    principals: tuple[str, ...]
    valid_after: int
    valid_before: int
    critical: bytes
    authority: bytes
    signature: bytes
    signed: bytes  # what the signature is over

    def problem(self, host: str) -> str | None:
        """Why the certificate does not vouch for `host` now; None where it does."""
        now = time.time()
        if self.kind != _HOST:
            return "its certificate is one of a user, not of a host"
        if now < self.valid_after:
            return f"its certificate is not valid before {_date(self.valid_after)}"
        if now >= self.valid_before:
            return f"its certificate expired on {_date(self.valid_before)}"
        # none named is all hosts: ssh-keygen(1), CERTIFICATES
        if self.principals and not any(match_pattern(host, name.lower()) for name in self.principals):
            return f"its certificate is for {', '.join(self.principals)}, not for {host}"
        if self.critical:
            return "its certificate has critical options, which a host's may not have"
        return None if self._signature_holds() else "the signature on its certificate does not hold"

    def _signature_holds(self) -> bool:
        paramiko = paramiko_lazily.load()
        if _string(self.signature)[0] == b"ssh-rsa":  # SHA-1
            return False
        try:
            authority = paramiko.PKey.from_type_string(key_type(self.authority), self.authority)
            return bool(authority.verify_ssh_sig(self.signed, paramiko.Message(self.signature)))
        except Exception:  # noqa: BLE001  # a blob of a kind that cannot be verified, however it fails, vouches for nothing
            return False


def key_type(blob: bytes) -> str:
    """The type that a public key or certificate blob begins with."""
    return _string(blob)[0].decode("ascii", "replace")


def is_certificate(blob: bytes) -> bool:
    return key_type(blob).endswith(SUFFIX)


def parse(blob: bytes) -> Certificate:
    """The certificate in `blob`. Raises ValueError where it is damaged or of an unknown type."""
    plain = key_type(blob).removesuffix(SUFFIX)
    if plain not in _KEY_FIELDS:
        raise ValueError(f"unknown certificate type {key_type(blob)}")
    _, rest = _string(blob)
    _, rest = _string(rest)  # the nonce
    start = rest
    for _ in range(_KEY_FIELDS[plain]):
        _, rest = _string(rest)
    key = struct.pack(">I", len(plain)) + plain.encode() + start[: len(start) - len(rest)]
    try:
        _serial, kind = struct.unpack_from(">QI", rest)
        identity, rest = _string(rest[12:])
        principals, rest = _string(rest)
        valid_after, valid_before = struct.unpack_from(">QQ", rest)
    except struct.error:
        raise ValueError("the certificate is cut") from None
    critical, rest = _string(rest[16:])
    _extensions, rest = _string(rest)
    _reserved, rest = _string(rest)
    authority, rest = _string(rest)
    signed = blob[: len(blob) - len(rest)]
    signature, _ = _string(rest)
    names = []
    while principals:
        name, principals = _string(principals)
        names.append(name.decode("utf-8", "replace"))
    return Certificate(
        key,
        kind,
        identity.decode("utf-8", "replace"),
        tuple(names),
        valid_after,
        valid_before,
        critical,
        authority,
        signature,
        signed,
    )


def _string(data: bytes) -> tuple[bytes, bytes]:
    """The first length-prefixed string of `data`, and what follows it."""
    end = 4 + int.from_bytes(data[:4], "big")
    if len(data) < 4 or end > len(data):
        raise ValueError("the certificate is cut")
    return data[4:end], data[end:]


def _date(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(min(seconds, 253402300799)))
