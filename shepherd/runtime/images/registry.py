"""A repository in a registry (OCI distribution specification 1.1; Docker's token authentication).

Each request is made without credentials first and again with what the registry asks for: a password, or a token that
is got with the password from a realm. The realm is the registry's to name, so the password goes there only if it is the
registry itself, or a host the user allowed for it (CVE-2020-15157 was about a client that sent it anywhere).
"""

import base64
import json
import re
from urllib.parse import quote, urlencode, urlsplit

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images import digest as digests
from shepherd.runtime.images import manifest as manifests
from shepherd.runtime.images.digest import Digest
from shepherd.runtime.images.documents import LARGEST
from shepherd.runtime.images.manifest import Descriptor
from shepherd.runtime.images.transport import Transport, shown

HUB = "registry-1.docker.io"  # where docker.io's images are
_REALMS = {HUB: ("auth.docker.io",)}
_CHALLENGE = re.compile(r'([a-zA-Z]+)="([^"]*)"')
_LARGEST_TOKEN = 1 << 16


class Repository:
    """One repository as one thread sees it. `base` is the URL of the registry, a mirror's where it is one."""

    def __init__(self, reference, transport: Transport, credentials=None, base=None, tokens=None):
        self.reference = reference
        self._transport = transport
        self._credentials = credentials
        self._host = base or place(reference.domain, transport)
        self._tokens = {} if tokens is None else tokens  # scope → value of Authorization, shared by threads
        self._path = reference.path

    @classmethod
    def of_peer(cls, reference, transport, base, token):
        """What another machine gives of its store (peer.py): it wants a token that is known already."""
        scopes = ("repository:%s:pull" % reference.path,)
        return cls(reference, transport, None, base, {scopes: "Bearer " + token})

    def for_thread(self):
        """The same, for another thread: with connections of its own."""
        transport = Transport(self._transport.settings)
        return Repository(self.reference, transport, self._credentials, self._host, self._tokens)

    def close(self) -> None:
        self._transport.close()

    def url(self, *parts) -> str:
        return "%s/v2/%s/%s" % (self._host, quote(self._path), "/".join(parts))

    # Manifests

    def manifest(self, what):
        """(Descriptor, bytes) of the manifest or index of a tag or a Digest; the Descriptor pins what a tag meant."""
        headers = {"Accept": ", ".join(manifests.ACCEPTED)}
        with self._ask("GET", self.url("manifests", what), headers) as answer:
            self._expect(answer, (200,), "the image %s" % self._named(what))
            data = answer.body(LARGEST)
            media_type = (answer.headers.get("Content-Type") or "").split(";")[0].strip()
            said = answer.headers.get("Docker-Content-Digest")
        wanted = what if isinstance(what, Digest) else Digest(said) if said else digests.of(data)
        hasher = wanted.hasher()
        hasher.update(data)
        if hasher.hexdigest() != wanted.hex:
            raise RuntimeFailure("%s answers with another image than %s" % (shown(self._host), wanted))
        if media_type not in manifests.ACCEPTED:
            media_type = manifests.read(data, None, "the manifest of %s" % self.reference).media_type
        return Descriptor(media_type, wanted, len(data)), data

    def put_manifest(self, what, descriptor, data) -> None:
        headers = {"Content-Type": descriptor.media_type}
        with self._ask("PUT", self.url("manifests", what), headers, data, len(data), push=True) as answer:
            self._expect(answer, (201, 202), "the manifest %s" % what)
            answer.body(_LARGEST_TOKEN)

    # Blobs

    def blob(self, digest, offset=0):
        """The answer to a request for the blob from byte `offset` on: status 206 if the registry can do that, or 200
        with all of it."""
        headers = {"Range": "bytes=%d-" % offset} if offset else {}
        answer = self._ask("GET", self.url("blobs", digest), headers)
        if answer.status == 416:  # there is nothing from there on
            answer.close()
            answer = self._ask("GET", self.url("blobs", digest))
        self._expect(answer, (200, 206), "the blob %s" % digest)
        if answer.status == 206 and not (answer.headers.get("Content-Range") or "").startswith("bytes %d-" % offset):
            answer.close()
            raise RuntimeFailure("%s answers with another part of %s than was asked for" % (shown(self._host), digest))
        return answer

    def has_blob(self, digest) -> bool:
        with self._ask("HEAD", self.url("blobs", digest), push=True) as answer:
            answer.read()
            if answer.status == 404:
                return False
            self._expect(answer, (200,), "the blob %s" % digest)
            return True

    def put_blob(self, digest, size, opener, source=None) -> str:
        """Upload the blob that `opener()` opens, or have the registry take it from the repository `source`, which it
        knows. Returns what happened: "mounted" or "pushed"."""
        url = self.url("blobs", "uploads/")
        if source is not None:
            url += "?" + urlencode({"mount": digest, "from": source})
        with self._ask("POST", url, {}, b"", 0, push=True, source=source) as answer:
            self._expect(answer, (201, 202), "to take the blob %s" % digest)
            answer.body(_LARGEST_TOKEN)
            if answer.status == 201:
                return "mounted"
            location = answer.headers.get("Location")
            if not location:
                raise RuntimeFailure("%s does not say where to push to" % shown(self._host))
            target = self._transport.join(answer.url, location)
        target += ("&" if "?" in target else "?") + urlencode({"digest": digest})
        headers = {"Content-Type": "application/octet-stream"}
        with self._ask("PUT", target, headers, opener, size, push=True) as answer:
            self._expect(answer, (201, 204), "to take the blob %s" % digest)
            answer.body(_LARGEST_TOKEN)
        return "pushed"

    # Asking

    def _ask(self, method, url, headers=None, body=None, size=None, push=False, source=None):
        scope = "repository:%s:%s" % (self._path, "pull,push" if push else "pull")
        scopes = (scope, "repository:%s:pull" % source) if source else (scope,)
        ours = urlsplit(url)[:2] == urlsplit(self._host)[:2]  # an upload's place may be another host's
        for last in (False, True):
            sent = dict(headers or {})
            if ours and scopes in self._tokens:
                sent["Authorization"] = self._tokens[scopes]
            follow = method in ("GET", "HEAD")
            answer = self._transport.request(method, url, sent, body, size, follow)
            if answer.status != 401 or last or not ours:
                return answer
            challenge = answer.headers.get("WWW-Authenticate") or ""
            answer.body(_LARGEST_TOKEN)
            answer.close()
            self._tokens[scopes] = self._authorization(challenge, scopes)
        raise AssertionError("the second try returns")

    def _authorization(self, challenge, scopes):
        found = self._credentials.find(self.reference) if self._credentials is not None else None
        kind, _, rest = challenge.partition(" ")
        if kind.lower() == "basic":
            if found is None:
                raise self._unknown()
            return _basic(found)
        if kind.lower() != "bearer":
            raise RuntimeFailure("%s asks for a proof of an unknown kind: %s" % (shown(self._host), ascii(kind)[:40]))
        asked = dict(_CHALLENGE.findall(rest))
        realm = asked.get("realm") or ""
        self._check_realm(realm)
        query = [("scope", scope) for scope in scopes]
        if asked.get("service"):
            query.append(("service", asked["service"]))
        url = realm + ("&" if "?" in realm else "?") + urlencode(query)
        headers = {"Authorization": _basic(found)} if found is not None else {}
        with self._transport.request("GET", url, headers, follow=False) as answer:
            self._expect(answer, (200,), "a token")
            data = answer.body(_LARGEST_TOKEN)
        try:
            document = json.loads(data.decode("utf-8"))
            token = document.get("token") or document["access_token"]
        except (ValueError, KeyError, AttributeError, RecursionError):
            raise RuntimeFailure("%s answers without a token" % shown(realm))
        if not isinstance(token, str) or not re.match(r"[\x21-\x7e]+\Z", token):
            raise RuntimeFailure("%s answers without a token" % shown(realm))
        return "Bearer " + token

    def _check_realm(self, realm):
        self._transport.check(realm)
        host, here = urlsplit(realm), urlsplit(self._host)
        known = list(_REALMS.get(here.netloc, ())) + list(self._transport.settings.realms.get(here.netloc, ()))
        if host.hostname != here.hostname and host.netloc not in known:
            raise RuntimeFailure(
                "%s wants its passwords sent to %s" % (shown(self._host), shown(host.netloc)),
                "if that is right, allow it: --realm %s=%s" % (here.netloc, host.netloc),
            )
        if host.scheme == "http" and here.scheme == "https":
            raise RuntimeFailure("%s wants its passwords sent without TLS" % shown(self._host))

    def _expect(self, answer, statuses, what):
        if answer.status in statuses:
            return
        said = _message(answer)
        if answer.status in (401, 403):
            raise self._unknown(said)
        if answer.status == 404:
            raise RuntimeFailure("%s has not %s%s" % (shown(self._host), what, said))
        raise RuntimeFailure("%s refuses %s: %d%s" % (shown(self._host), what, answer.status, said))

    def _unknown(self, said=""):
        return RuntimeFailure(
            "%s does not let us in to %s%s" % (shown(self._host), self._path, said),
            "--auth-file names a file of credentials, --creds-file one with USER:PASSWORD (- is standard input)",
        )

    def _named(self, what):
        return "%s@%s" % (self._path, what) if isinstance(what, Digest) else "%s:%s" % (self._path, what)


def place(domain, transport) -> str:
    """The URL of a registry. One that is allowed to be insecure is tried with TLS first, as others do."""
    host = HUB if domain == "docker.io" else domain
    if not transport.is_insecure(host):
        return "https://" + host
    for scheme in ("https", "http"):
        quick = Transport(transport.settings)
        quick.settings = _without_retries(transport.settings, last=scheme == "http")
        try:
            with quick.request("GET", "%s://%s/v2/" % (scheme, host), follow=False) as answer:
                answer.body(_LARGEST_TOKEN)
            return "%s://%s" % (scheme, host)
        except RuntimeFailure:
            if scheme == "http":
                raise
        finally:
            quick.close()
    raise AssertionError("the second one returns or raises")


def _without_retries(settings, last):
    from copy import copy

    found = copy(settings)
    if not last:
        found.delays = ()
    return found


def _basic(found):
    return "Basic " + base64.b64encode(("%s:%s" % found).encode("utf-8")).decode("ascii")


def _message(answer):
    """What the registry says went wrong (distribution specification, "Error Codes")."""
    try:
        with answer:
            found = json.loads(answer.body(_LARGEST_TOKEN).decode("utf-8"))
        first = found["errors"][0]
        return " (%s)" % ascii(first.get("message") or first.get("code"))[1:-1][:200]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError, OSError, RuntimeFailure):
        return ""
