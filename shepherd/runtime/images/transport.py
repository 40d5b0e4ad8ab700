"""HTTPS to registries: connections that are kept, retries, redirects, and what is refused.

A registry is spoken to over TLS, unless the user allowed this one host to be insecure. What a server says can lead
elsewhere (redirects, the place of tokens): then no credentials go along, never without TLS unless that host is allowed
too, and never to a link-local address, where clouds keep their machines' secrets.
"""

import os
import re
import socket
import ssl
import time
from http import client
from urllib.parse import urljoin, urlsplit

from shepherd.runtime.errors import RuntimeFailure

CERTIFICATES = ("/etc/containers/certs.d", "/etc/docker/certs.d")
AGENT = "shepherd-runtime"
_PLAIN = re.compile(r"[\x21-\x7e]+\Z")
_REDIRECTS = (301, 302, 303, 307, 308)
_TRANSIENT = (408, 429, 500, 502, 503, 504)
_LONGEST_WAIT = 60.0
_BLOCK = 1 << 18


class Settings:
    """`insecure`: hosts (HOST or HOST:PORT) spoken to without proof of who they are, over TLS or without. `ca`: a file
    of certificates to believe besides the system's. `realms`: hosts that may be sent a registry's credentials for a
    token, {registry: [host, …]}. `mirrors`: {domain: [URL, …]}, asked first. `delays`: seconds before each retry.
    `context`: an SSLContext for all hosts, in place of what is said for each."""

    def __init__(
        self, insecure=(), ca=None, realms=None, mirrors=None, delays=(0.5, 1, 2, 4), timeout=60, context=None
    ):
        self.insecure = frozenset(insecure)
        self.ca = ca
        self.realms = realms or {}
        self.mirrors = mirrors or {}
        self.delays = delays
        self.timeout = timeout
        self.context = context


class Answer:
    """`status`, `headers`, and the body, read in part or whole; close() keeps the connection where it can."""

    def __init__(self, response, connection, pool, url):
        self.status = response.status
        self.headers = response.headers
        self.url = url
        self._response = response
        self._connection = connection
        self._pool = pool

    def read(self, size=None) -> bytes:
        """As of http.client, which takes a negative length of a chunk for one, and stumbles over it."""
        try:
            return self._response.read(size)
        except ValueError as error:
            raise client.HTTPException(str(error)) from None

    def body(self, largest) -> bytes:
        try:
            data = self.read(largest + 1)
        except (OSError, client.HTTPException) as error:
            raise RuntimeFailure("the answer of %s is cut short: %s" % (shown(self.url), _told(error)))
        if len(data) > largest:
            raise RuntimeFailure("%s answers with more than %d bytes" % (shown(self.url), largest))
        return data

    def close(self) -> None:
        if self._response.isclosed():
            self._pool.give_back(self._connection)
        else:
            self._connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Transport:
    """Requests to any host. Each thread has one of its own."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self._idle = {}  # (scheme, host:port) → connection
        self._contexts = {}

    def request(self, method, url, headers=None, body=None, size=None, follow=True) -> Answer:
        """The answer, after redirects and retries. `body`: bytes, or a function that opens a file of `size` bytes anew
        for each try. Raises RuntimeFailure where the host cannot be spoken to."""
        headers = dict(headers or {})
        for _ in range(6):
            answer = self._persistent(method, url, headers, body, size)
            place = answer.headers.get("Location")
            if not follow or answer.status not in _REDIRECTS or not place:
                return answer
            answer.body(1 << 16)
            answer.close()
            target = self.join(url, place)
            if _origin(target) != _origin(url):
                headers.pop("Authorization", None)
            url = target
        raise RuntimeFailure("%s redirects too often" % shown(url))

    def _persistent(self, method, url, headers, body, size):
        for wait in list(self.settings.delays) + [None]:
            try:
                answer = self._once(method, url, headers, body, size)
                if answer.status not in _TRANSIENT or wait is None:
                    return answer
                wait = max(wait, _retry_after(answer.headers))
                answer.close()
            except (OSError, client.HTTPException, ssl.CertificateError) as error:
                # A host that is not who it should be stays so; one that hung up in the middle may do better.
                if isinstance(error, (ssl.SSLError, ssl.CertificateError)) and not _hung_up(error):
                    raise self._untrusted(url, error)
                if wait is None or isinstance(error, socket.gaierror):
                    raise RuntimeFailure("cannot reach %s: %s" % (shown(_host(url)), _told(error)))
            except UnicodeError:  # of the name's parts, each of which has 63 letters at most (RFC 1035, 2.3.4)
                raise RuntimeFailure("cannot reach %s: no host can have that name" % shown(_host(url)))
            time.sleep(wait)
        raise AssertionError("the last try returns or raises")

    def _once(self, method, url, headers, body, size):
        parts = urlsplit(url)
        path = (parts.path or "/") + ("?" + parts.query if parts.query else "")
        key = (parts.scheme, parts.netloc)
        connection = self._idle.pop(key, None)
        fresh = connection is None
        if fresh:
            connection = self._connect(parts)
        sent = {"User-Agent": AGENT}
        sent.update(headers)
        content = body() if callable(body) else body
        if size is not None:
            sent["Content-Length"] = str(size)
        try:
            connection.request(method, path, content, sent)
            response = connection.getresponse()
        except (OSError, client.HTTPException):
            connection.close()
            if fresh:
                raise
            return self._once(method, url, headers, body, size)  # the server had closed the kept connection
        finally:
            if callable(body):
                content.close()
        connection.place = key
        return Answer(response, connection, self, url)

    def give_back(self, connection):
        self._idle[connection.place] = connection

    def close(self) -> None:
        for connection in self._idle.values():
            connection.close()
        self._idle.clear()

    def _connect(self, parts):
        if parts.scheme == "http":
            found = client.HTTPConnection(parts.hostname, parts.port or 80, timeout=self.settings.timeout)
        else:
            found = client.HTTPSConnection(
                parts.hostname, parts.port or 443, timeout=self.settings.timeout, context=self._context(parts.netloc)
            )
        found.blocksize = _BLOCK  # of what is sent out of a file
        return found

    def join(self, url, place) -> str:
        """Where a server at `url` sends us with `place`, checked."""
        try:
            target = urljoin(url, place)
        except ValueError:
            raise RuntimeFailure("the registry sends us to the impossible address %s" % shown(place))
        self.check(target)
        return target

    def check(self, url) -> None:
        """Refuse to go where nobody but the server said to go."""
        try:
            parts = urlsplit(url)
            allowed, port = self.is_insecure(parts.netloc), parts.port
            addresses = _addresses(parts.hostname, port)
        except ValueError:
            parts = None
        if parts is None or not _PLAIN.match(url):
            raise RuntimeFailure("the registry sends us to the impossible address %s" % shown(url))
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
            raise RuntimeFailure("the registry sends us to the impossible address %s" % shown(url))
        if parts.scheme == "http" and not allowed:
            raise RuntimeFailure("the registry sends us to %s, which has no TLS" % shown(url))
        for family, _, _, _, address in addresses:
            if family in (socket.AF_INET, socket.AF_INET6) and _is_link_local(address[0]):
                raise RuntimeFailure("the registry sends us to %s, an address of this link alone" % shown(url))

    def is_insecure(self, netloc) -> bool:
        return netloc in self.settings.insecure or urlsplit("//" + netloc).hostname in self.settings.insecure

    def _context(self, netloc):
        """TLS as the user wants it for this host (containers-certs.d(5))."""
        found = self.settings.context or self._contexts.get(netloc)
        if found is not None:
            return found
        context = ssl.create_default_context()
        try:
            if self.settings.ca is not None:
                context.load_verify_locations(self.settings.ca)
            for folder in CERTIFICATES:
                _load(context, os.path.join(folder, netloc))
        except (OSError, ssl.SSLError) as error:
            raise RuntimeFailure("cannot use the certificates for %s: %s" % (netloc, error.strerror or error))
        if self.is_insecure(netloc):
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        self._contexts[netloc] = context
        return context

    def _untrusted(self, url, error):
        host = _host(url)
        return RuntimeFailure(
            "the TLS connection to %s fails: %s"
            % (shown(host), getattr(error, "verify_message", "") or getattr(error, "reason", error)),
            "--tls-ca FILE has us believe an authority, as does %s/%s/ca.crt" % (CERTIFICATES[0], host),
        )


def _hung_up(error):
    """Whether a TLS connection just ended. By which error is for Python's version and that of its OpenSSL to say."""
    kinds = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
    return isinstance(error, kinds) or "unexpected eof" in str(error)  # Python 3.7 does not know that one of OpenSSL 3


def _load(context, folder):
    if not os.path.isdir(folder):
        return
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if name.endswith(".crt"):
            context.load_verify_locations(path)
        elif name.endswith(".cert"):
            context.load_cert_chain(path, path[: -len(".cert")] + ".key")


def _addresses(host, port):
    try:
        return socket.getaddrinfo(host, port or 443, type=socket.SOCK_STREAM)
    except OSError:
        return []  # connecting will say so


def _is_link_local(address):
    import ipaddress

    found = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_link_local


def _origin(url):
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or (80 if parts.scheme == "http" else 443)


def _host(url):
    return urlsplit(url).netloc


def _retry_after(headers):
    text = headers.get("Retry-After") or "0"
    return min(float(text), _LONGEST_WAIT) if re.match(r"[0-9]+\Z", text) else 0.0


def _told(error):
    """What went wrong, in which a server may have had a word (an answer that is no HTTP)."""
    return ascii(str(error))[1:-1][:200] or type(error).__name__


def shown(url):
    """A server's text that may go to a terminal, without a query, which may hold a signature."""
    return ascii(url.partition("?")[0])[1:-1][:300]
