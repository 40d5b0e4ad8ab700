"""Keys held by an ssh-agent (draft-ietf-sshm-ssh-agent).

Of our own, because paramiko's agent finds its socket in the environment only and mixes up the answers when several
threads sign through it. Here each request has a connection of its own, which an agent answers in microseconds.
"""

from __future__ import annotations

import base64
import contextlib
import os
import socket
import struct
import threading
from typing import TYPE_CHECKING, NamedTuple

from shepherd.transport.ssh_errors import Refused

if TYPE_CHECKING:
    from paramiko import Channel

CERTIFICATE = "-cert-v01@openssh.com"

TIMEOUT = 60.0  # seconds; a person may have to confirm the use of a key, or touch it
LARGEST = 256 * 1024  # bytes of a message, as OpenSSH's agent has it
_REQUEST_IDENTITIES, _IDENTITIES = 11, 12
_SIGN_REQUEST, _SIGNATURE = 13, 14
_RSA_FLAGS = {"rsa-sha2-256": 2, "rsa-sha2-512": 4}


class PublicBlob(NamedTuple):
    """What paramiko sends for a key: its type and public half."""

    key_type: str
    key_blob: bytes


class AgentKey:
    """A key in the agent, as paramiko's auth_publickey wants a key: it signs, and shows its public half."""

    def __init__(self, path: str, blob: bytes, comment: str) -> None:
        self.blob = blob
        self.comment = comment
        self.failure = ""  # why it did not sign
        self._path = path
        size = int.from_bytes(blob[:4], "big")
        self.public_blob = PublicBlob(blob[4 : 4 + size].decode("ascii", "replace"), blob)

    def get_name(self) -> str:
        return self.public_blob.key_type

    def asbytes(self) -> bytes:
        return self.blob

    def with_certificate(self, path: str) -> AgentKey:
        """The same key, presenting the certificate in `path`. Raises Refused where it is not one of this key's type."""
        try:
            with open(path, "rb") as handle:
                key_type, encoded = handle.read(65536).split(None, 2)[:2]
            blob = base64.b64decode(encoded)
        except (OSError, ValueError) as problem:
            raise Refused(f"the certificate {path} cannot be used: {problem}") from None
        if key_type.decode("ascii", "replace") != self.get_name() + CERTIFICATE:
            raise Refused(f"the certificate {path} is not one for a key of type {self.get_name()}")
        certified = AgentKey(self._path, self.blob, self.comment)
        certified.public_blob = PublicBlob(key_type.decode(), blob)
        return certified

    def sign_ssh_data(self, data: bytes, algorithm: str | None = None) -> bytes:
        """The signature of `data`. Blocks.

        Where the agent will not or cannot sign, an empty one and `failure`: paramiko signs in the thread of the
        connection, which an error would end, and there may be other keys to try.
        """
        name = algorithm or self.get_name()
        flags = _RSA_FLAGS.get(name.removesuffix(CERTIFICATE), 0)
        body = bytes([_SIGN_REQUEST]) + _string(self.blob) + _string(data) + struct.pack(">I", flags)
        try:
            kind, answer = _ask(self._path, body)
            if kind == _SIGNATURE:
                return _take(answer)[0]
            self.failure = "the agent refused to sign"
        except OSError as problem:
            self.failure = f"the agent did not sign: {problem}"
        return _string(name.removesuffix(CERTIFICATE).encode()) + _string(b"")


def keys(path: str) -> list[AgentKey]:
    """The keys of the agent at the socket `path`, in its order; none where no agent answers. Blocks."""
    try:
        kind, answer = _ask(path, bytes([_REQUEST_IDENTITIES]))
        if kind != _IDENTITIES:
            return []
        found = []
        rest = answer[4:]
        for _ in range(int.from_bytes(answer[:4], "big")):
            blob, rest = _take(rest)
            comment, rest = _take(rest)
            found.append(AgentKey(path, blob, comment.decode("utf-8", "replace")))
        return found
    except OSError:
        return []


def serve(channel: Channel, path: str) -> None:
    """Pass the requests that come from a server over `channel` on to the agent, until it closes (ForwardAgent)."""
    threading.Thread(target=_serve, args=(channel, path), name="ssh-agent", daemon=True).start()


def _serve(channel: Channel, path: str) -> None:
    with contextlib.closing(channel), contextlib.suppress(OSError, EOFError):
        while True:
            body = _read(channel, int.from_bytes(_read(channel, 4), "big"))
            kind, answer = _ask(path, body)
            channel.sendall(_string(bytes([kind]) + answer))


def _ask(path: str, body: bytes) -> tuple[int, bytes]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(TIMEOUT)
        connection.connect(os.fspath(path))
        connection.sendall(_string(body))
        size = int.from_bytes(_read(connection, 4), "big")
        answer = _read(connection, size)
    if not answer:
        raise OSError("the agent sent an empty answer")
    return answer[0], answer[1:]


def _read(connection: socket.socket | Channel, size: int) -> bytes:
    if size > LARGEST:
        raise OSError("a message too large for an agent")
    data = bytearray()
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            raise OSError("the agent closed the connection")
        data += piece
    return bytes(data)


def _string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _take(data: bytes) -> tuple[bytes, bytes]:
    end = 4 + int.from_bytes(data[:4], "big")
    if end > len(data):
        raise OSError("the agent sent a cut answer")
    return data[4:end], data[end:]
