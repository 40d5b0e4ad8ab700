"""Registries that answer anything at all: what a client makes of it is data, or an error that says so."""

from __future__ import annotations

import contextlib
import io
import json
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from image_maker import OCI, sha256

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images.credentials import Credentials
from shepherd.runtime.images.digest import Digest
from shepherd.runtime.images.reference import parse
from shepherd.runtime.images.registry import Repository
from shepherd.runtime.images.transport import Settings, Transport

if TYPE_CHECKING:
    from collections.abc import Iterator

EMPTY = Digest(sha256(b""))


class Speaker:
    """A server that says the next of `answers` to each connection, whatever that asked for, and hangs up."""

    def __init__(self) -> None:
        self.answers: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=16)
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _address = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._say, args=(connection,), daemon=True).start()

    def _say(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            asked = b""
            while b"\r\n\r\n" not in asked and asked[:1] != b"\x16" and (part := connection.recv(65536)):
                asked += part  # up to the end of a request, or the beginning of TLS
            connection.sendall(self.answers.pop(0) if self.answers else b"")
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):  # what is left unread would take the answer away (RST)
                pass

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


@pytest.fixture(scope="module")
def speaker() -> Iterator[Speaker]:
    made = Speaker()
    yield made
    made.close()


HOSTS = ["HERE", "localhost:1", "127.0.0.1:99999", "a..b", "x" * 70, "[::1", "[::1%lo]:1", "u@HERE", "169.254.169.254",
         "0251.0376.0251.0376", ""]  # fmt: skip
PLACES = st.builds("{}//{}{}".format, st.sampled_from(["http:", "https:", "ftp:", ""]), st.sampled_from(HOSTS),
                   st.sampled_from(["", "/v2/x", "/?a=b", ":80:80/", "/\u00e9", "\\"]))  # fmt: skip
PLACES |= st.text("ab:?#%\\\u00e9 \0", max_size=20)  # no host's name: nobody else is to be asked
NUMBERS = st.sampled_from(["0", "2", "-1", "99999999999999999999", "\u00b2", "\u0663", "x", "", "0x2", "1 1"])
HEADERS = st.one_of(
    st.tuples(st.sampled_from(["Content-Length", "Retry-After", "Age"]), NUMBERS),
    st.tuples(st.sampled_from(["Location"]), PLACES),
    st.tuples(
        st.just("WWW-Authenticate"),
        st.builds('{} realm="{}",service="{}"'.format, st.sampled_from(["Bearer", "Basic", "", "Digest"]), PLACES,
                  st.text(max_size=4)) | st.text(max_size=12),
    ),
    st.tuples(st.just("Content-Type"), st.sampled_from([OCI + "manifest.v1+json", OCI + "index.v1+json", "x", ";"])),
    st.tuples(st.just("Docker-Content-Digest"), st.sampled_from([str(EMPTY), "sha256:../../x", "md5:0", ""])),
    st.tuples(st.just("Content-Range"), st.sampled_from(["bytes 0-", "bytes 5-9/10", "bytes */0", "x"])),
    st.tuples(st.just("Transfer-Encoding"), st.sampled_from(["chunked", "gzip", ""])),
    st.tuples(st.just("Connection"), st.sampled_from(["close", "keep-alive"])),
)  # fmt: skip
BODIES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"-5\r\nabc", b"ffffffffffffffff\r\n", b"2\r\n{}\r\n0\r\n\r\n", b"[" * 60000, b'{"token":"[']),
    st.sampled_from([{}, {"token": "a b"}, {"access_token": 5}, {"token": "t"}, {"errors": [{"message": "\u001b[2J"}]},
                     {"errors": 5}, {"errors": [5]}, [], {"schemaVersion": 2, "manifests": [], "layers": []}])
    .map(json.dumps).map(str.encode),
)  # fmt: skip
STATUS = st.sampled_from(["200", "201", "202", "204", "206", "301", "307", "401", "403", "404", "416", "429", "503",
                          "100", "999", "-1", "2OO", ""])  # fmt: skip


@st.composite
def answers(draw: Any) -> bytes:
    headers = draw(st.lists(HEADERS, max_size=4))
    head = "".join(f"{name}: {value}\r\n" for name, value in headers)
    line = draw(st.sampled_from(["HTTP/1.1", "HTTP/1.0", "HTTP/9", "SSH-2.0"]))
    body = draw(BODIES)
    if draw(st.booleans()):
        head += f"Content-Length: {len(body)}\r\n"
    return f"{line} {draw(STATUS)} Said\r\n{head}\r\n".encode() + body


def said(status: str, *headers: str, body: bytes = b"") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status} Said", *headers, f"Content-Length: {len(body)}", "", ""]).encode() + body


def manifest(repository: Repository) -> None:
    repository.manifest("1")


def blob(repository: Repository) -> None:
    from http.client import HTTPException

    with repository.blob(EMPTY, 5) as answer, contextlib.suppress(OSError, HTTPException):  # as pull reads it
        answer.read(1 << 16)


def upload(repository: Repository) -> None:
    if not repository.has_blob(EMPTY):
        repository.put_blob(EMPTY, 3, lambda: io.BytesIO(b"abc"), "other")


BEARER = 'WWW-Authenticate: Bearer realm="http://HERE/token"'


@pytest.mark.parametrize("ask", [manifest, blob, upload])
@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@example(found=[said("200", "Retry-After: \u00b2"), said("503", "Retry-After: \u00b2")])
@example(found=[b"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n-2"])
@example(found=[said("307", "Location: http://a..b/x")])
@example(found=[said("307", "Location: http://" + "x" * 70 + "/")])
@example(found=[said("401", BEARER), said("200", body=b"[" * 60000)])
@example(found=[said("404", body=b"[" * 60000)])
@given(found=st.lists(st.binary(max_size=60) | answers(), max_size=4))
def test_any_answers_are_understood_or_refused(speaker: Speaker, ask: Any, found: list[bytes]) -> None:
    speaker.answers = [one.replace(b"HERE", speaker.address.encode()) for one in found]
    transport = Transport(Settings(insecure=["127.0.0.1", speaker.address, "localhost"], delays=(), timeout=5))
    reference = parse(f"{speaker.address}/app:1")
    credentials = Credentials.__new__(Credentials)
    credentials.find = lambda _reference: ("name", "password")  # type: ignore[method-assign] # where they are kept is another test's
    repository = Repository(reference, transport, credentials, f"http://{speaker.address}")
    try:
        ask(repository)
    except RuntimeFailure as error:
        assert error.message.isprintable(), error.message
    finally:
        repository.close()


def test_a_host_that_can_have_no_such_name() -> None:
    transport = Transport(Settings(insecure=["x" * 70], delays=()))
    with pytest.raises(RuntimeFailure, match="no host can have that name"):
        transport.request("GET", f"http://{'x' * 70}/v2/")
