"""Private keys: each file read once a run and shared by all connections."""

from __future__ import annotations

import base64
import binascii
import copy
import inspect
import io
import threading
from typing import TYPE_CHECKING, Any

from shepherd.transport import Secret, paramiko_lazily
from shepherd.transport.ssh_errors import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from paramiko import PKey

# Asks the person for the passphrase of a key file; None where nobody can be asked. Set by the command line.
ask_passphrase: Callable[[str], Secret | None] | None = None

_OPENSSH = b"openssh-key-v1\0"  # PROTOCOL.key of OpenSSH
_loaded: dict[str, PKey | Refused] = {}
_lock = threading.Lock()  # one passphrase prompt at a time, and each key loaded once


def load(path: str, *, ask: bool = True) -> PKey:
    """The private key in `path`. Blocks. Raises Refused where it cannot be used.

    `ask` False: an encrypted key is refused without asking anybody for its passphrase.
    """
    with _lock:
        found = _loaded.get(path)
        if found is None:
            try:
                found = _load(path, ask_passphrase if ask else None)
            except Refused as problem:
                found = problem
            if ask or not isinstance(found, Refused):
                _loaded[path] = found
    if isinstance(found, Refused):
        raise found
    return found


def with_certificate(key: PKey, path: str) -> PKey:
    """A copy of `key` that presents the certificate in `path`. Raises Refused where the two do not belong together."""
    certified = copy.copy(key)
    try:
        certified.load_certificate(path)
    except (OSError, ValueError) as problem:
        raise Refused(f"the certificate {path} cannot be used: {problem}") from None
    return certified


def public_blob(path: str) -> bytes | None:
    """The public half of the key in `path`, from `path`.pub or the unencrypted head of the file; None if unknown."""
    try:
        with open(path + ".pub", "rb") as handle:
            return base64.b64decode(handle.read(65536).split(None, 2)[1])
    except (OSError, IndexError, binascii.Error):
        pass
    try:
        with open(path, "rb") as handle:
            data = base64.b64decode(b"".join(line for line in handle.read(65536).split(b"\n") if b"-----" not in line))
    except (OSError, binascii.Error):
        return None
    if not data.startswith(_OPENSSH):
        return None
    rest = data[len(_OPENSSH) :]
    for _ in range(3):  # cipher, key derivation, its options
        rest = rest[4 + int.from_bytes(rest[:4], "big") :]
    rest = rest[4:]  # the number of keys, always 1
    return rest[4 : 4 + int.from_bytes(rest[:4], "big")]


def forget() -> None:
    """Drop all loaded keys."""
    with _lock:
        _loaded.clear()


def _load(path: str, ask: Callable[[str], Secret | None] | None) -> PKey:
    try:
        with open(path, "rb") as handle:
            data = handle.read()
    except OSError as problem:
        raise Refused(f"cannot read the private key {path}: {(problem.strerror or str(problem)).lower()}") from None
    try:
        return _wrap(_decode(data, None))
    except TypeError:
        pass  # how cryptography says that it is encrypted
    except Exception as problem:  # noqa: BLE001  # cryptography names no list of what it raises for damaged files
        raise _unusable(path, data, problem) from None
    passphrase = ask(path) if ask else None
    if passphrase is None:
        raise Refused(
            f"the private key {path} is encrypted, and nobody is there to be asked for its passphrase",
            hint=f"load it into an agent first: ssh-add {path}",
        )
    try:
        return _wrap(_decode(data, passphrase.encode()))
    except Exception:  # noqa: BLE001  # as above
        raise Refused(f"wrong passphrase for the private key {path}") from None


def _decode(data: bytes, passphrase: bytes | None) -> Any:
    from cryptography.hazmat.primitives import serialization

    decode: Any = (
        serialization.load_ssh_private_key
        if b"BEGIN OPENSSH PRIVATE KEY" in data
        else serialization.load_pem_private_key
    )
    options: dict[str, Any] = {}
    # checking that the primes of one's own RSA key are primes takes 140 ms, the handshake 70; older versions always do
    if "unsafe_skip_rsa_key_validation" in inspect.signature(decode).parameters:
        options["unsafe_skip_rsa_key_validation"] = True
    return decode(data, passphrase, **options)


def _wrap(key: Any) -> PKey:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    paramiko = paramiko_lazily.load()
    wrapped: PKey
    if isinstance(key, rsa.RSAPrivateKey):
        wrapped = paramiko.RSAKey(key=key)
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        wrapped = paramiko.ECDSAKey(vals=(key, key.public_key()))
    else:  # Ed25519, which paramiko makes from the text of a file alone
        text = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
        wrapped = paramiko.Ed25519Key(file_obj=io.StringIO(text.decode()))
    return wrapped


def _unusable(path: str, data: bytes, problem: Exception) -> Refused:
    if data.startswith((b"ssh-", b"ecdsa-", b"sk-")):
        return Refused(f"{path} is a public key; the private one is needed", hint="give the file without .pub")
    if data.startswith(b"PuTTY-User-Key-File"):
        return Refused(f"{path} is a PuTTY key", hint="convert it: puttygen KEY.ppk -O private-openssh -o KEY")
    if (public_blob(path) or b"")[4:].startswith(b"sk-"):
        return Refused(f"the key {path} is on a hardware token", hint=f"load it into an agent: ssh-add {path}")
    return Refused(f"{path} holds no private key that can be used: {problem or type(problem).__name__}")
