"""Which ciphers, MACs and key exchanges to offer, and the +, - and ^ of ssh_config(5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shepherd.transport.known_hosts import match_list
from shepherd.transport.ssh_errors import Refused

if TYPE_CHECKING:
    from collections.abc import Collection

# GCM is several times faster than the others here, and its integrity check is built in; CBC only where asked for
CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes192-ctr", "aes256-ctr")
# the SHA-1 and MD5 ones only where asked for
MACS = ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512")
# best first; ssh-rsa, which is SHA-1, is not among them
HOST_KEYS = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
)


def choose(keyword: str, written: str | None, default: tuple[str, ...], supported: Collection[str]) -> tuple[str, ...]:
    """The algorithms to offer. `written` is the value of `keyword`: a list, or one that adds to (+), takes from (-)
    or goes in front of (^) the default. Raises Refused where nothing is left that paramiko can do."""
    if not written:
        return default
    sign, names = (written[0], written[1:]) if written[0] in "+-^" else ("", written)
    listed = tuple(name for name in names.split(",") if name in supported)
    if sign == "+":
        chosen = default + listed
    elif sign == "-":
        chosen = tuple(name for name in default if not match_list(name, names))
    elif sign == "^":
        chosen = listed + default
    else:
        chosen = listed
    if not chosen:
        raise Refused(
            f"ssh_config: {keyword} {written} leaves nothing that can be used here",
            hint=f"what can be used: {', '.join(sorted(supported))}",
        )
    return tuple(dict.fromkeys(chosen))
