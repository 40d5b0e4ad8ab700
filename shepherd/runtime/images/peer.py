"""Blobs from machine to machine, for as long as somebody wants them from here.

What is spoken is the part of the distribution specification that fetches a blob, over TLS: who fetches is a registry's
client. The certificate is made for this one server, and who fetches believes that one and no authority. It gives the
blobs that it was told of, and to those who know the token.
"""

import hmac
import os
import re
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images.digest import CHUNK, Digest
from shepherd.runtime.images.manifest import Descriptor
from shepherd.runtime.images.pull import AT_ONCE, Report, fetch
from shepherd.runtime.images.registry import Repository
from shepherd.runtime.images.transport import Settings, Transport
from shepherd.runtime.images.workers import run_all

SILENCE = 10.0  # seconds without a byte after which the other one counts as gone
CONNECTIONS = 32  # at the same time: whoever asks for more is not one of ours
_PATH = re.compile(r"/v2/[a-z0-9._/-]+/blobs/([a-z0-9]+:[0-9a-f]+)\Z")
_RANGE = re.compile(r"bytes=([0-9]{1,18})-\Z")


class Server(ThreadingMixIn, TCPServer):
    """Listens at `address`, at a port that the kernel chooses; `serve_forever` serves. Key and certificate are PEM."""

    allow_reuse_address = False
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, store, digests, address, key, certificate, token):
        self.store = store
        self.digests = frozenset(str(Digest(one)) for one in digests)
        self.proof = b"Bearer " + token.encode("ascii")
        self._context = _context(ssl.PROTOCOL_TLS_SERVER)
        _load(self._context, key, certificate)
        self._places = threading.BoundedSemaphore(CONNECTIONS)
        try:
            found = socket.getaddrinfo(address, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
            self.address_family = found[0]
            TCPServer.__init__(self, found[4], _Handler)
        except OSError as error:
            raise RuntimeFailure("cannot listen at %s: %s" % (address, error.strerror or error))

    @property
    def port(self) -> int:
        return self.server_address[1]

    def verify_request(self, _request, _client) -> bool:
        return self._places.acquire(False)

    def finish_request(self, request, client) -> None:
        """In a thread of its own, so that nobody waits for the handshake of another."""
        try:
            request.settimeout(SILENCE)
            with self._context.wrap_socket(request, server_side=True) as connection:
                _Handler(connection, client, self)
        finally:
            self._places.release()

    def handle_error(self, _request, _client) -> None:
        """Somebody else knocked, or one of ours went away: nobody here wants to read of it."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "shepherd-runtime", ""
    timeout = SILENCE

    def do_GET(self):
        said = (self.headers.get("Authorization") or "").encode("utf-8", "replace")
        found = _PATH.match(self.path)
        if not hmac.compare_digest(said, self.server.proof):
            self._refuse(403)
        elif found is None or found.group(1) not in self.server.digests:
            self._refuse(404)
        else:
            self._give(Digest(found.group(1)), _RANGE.match(self.headers.get("Range") or ""))

    def _give(self, digest, wanted):
        try:
            file = self.server.store.open(digest)
        except RuntimeFailure:
            self._refuse(404)
            return
        with file:
            size = os.fstat(file.fileno()).st_size
            start = int(wanted.group(1)) if wanted else 0
            if wanted and start >= size:
                self._refuse(416)
            else:
                self._send(file, wanted, start, size)

    def _send(self, file, wanted, start, size):
        self.send_response(206 if wanted else 200)
        if wanted:
            self.send_header("Content-Range", "bytes %d-%d/%d" % (start, size - 1, size))
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(size - start))
        self.end_headers()
        file.seek(start)
        while True:
            data = file.read(CHUNK)
            if not data:
                return
            self.wfile.write(data)

    def _refuse(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def fetch_all(store, reference, blobs, lease, url, certificate, token) -> None:
    """Fetch blobs, [(digest, size), …], from the Server at `url`, a few at a time. Raises RuntimeFailure.

    What came of a blob that did not come whole is kept, to go on from.
    """
    context = _context(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # whoever has the key of this certificate is the one, wherever that is
    context.load_verify_locations(cadata=certificate)
    settings = Settings(delays=(), timeout=SILENCE, context=context)
    repository = Repository.of_peer(reference, Transport(settings), url, token)
    wanted = [Descriptor("application/octet-stream", Digest(digest), size) for digest, size in blobs]

    def one(blob, ours):
        fetch(store, ours, lease, blob, Report())

    run_all(one, wanted, AT_ONCE, repository.for_thread, lambda ours: ours.close())


def _context(protocol):
    context = ssl.SSLContext(protocol)
    if hasattr(ssl, "TLSVersion"):  # since 3.7
        context.minimum_version = ssl.TLSVersion.TLSv1_2
    else:
        context.options |= ssl.OP_NO_TLSv1 | ssl.OP_NO_TLSv1_1
    return context


def _load(context, key, certificate):
    """Python's ssl takes them from files alone; these are pipes, which hold them and are gone when they were read."""
    reading = []
    try:
        for text in (certificate, key):
            ours, theirs = os.pipe()
            reading.append(ours)
            os.write(theirs, text.encode("ascii"))  # some hundred bytes: a pipe holds far more
            os.close(theirs)
        context.load_cert_chain(*["/dev/fd/%d" % one for one in reading])
    except (OSError, ssl.SSLError) as error:
        raise RuntimeFailure("cannot use the certificate for other machines: %s" % (error.strerror or error))
    finally:
        for one in reading:
            os.close(one)
