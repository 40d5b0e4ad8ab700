"""Names of images: `registry.example:5000/team/app:1.2@sha256:…`.

The grammar is that of the distribution project ("reference" package), which the OCI distribution specification's
<name> and <reference> agree with. A name without a domain belongs to Docker Hub, as everywhere else; a name of one
component there has `library/` before it; a name without tag and digest has the tag `latest`.
"""

import re

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images.digest import PATTERN as DIGEST

DEFAULT_DOMAIN = "docker.io"
DEFAULT_TAG = "latest"

_LABEL = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = r"(?:%s(?:\.%s)*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?" % (_LABEL, _LABEL)
_COMPONENT = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_PATH = "%s(?:/%s)*" % (_COMPONENT, _COMPONENT)
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"

_REFERENCE = re.compile(r"(?:(%s)/)?(%s)(?::(%s))?(?:@(%s))?\Z" % (_DOMAIN, _PATH, _TAG, DIGEST))
_TAGGED = re.compile(_TAG + r"\Z")
_LONGEST = 255  # of domain and path together


class Reference:
    """`domain`, `path`, `tag` (or None), `digest` (text, or None), all of them complete. Hashable, shown in full."""

    __slots__ = ("digest", "domain", "path", "tag")

    def __init__(self, domain, path, tag=None, digest=None):
        self.domain = domain
        self.path = path
        self.tag = tag
        self.digest = digest

    @property
    def name(self):
        """Domain and path: what a registry calls the repository, and where it is."""
        return "%s/%s" % (self.domain, self.path)

    @property
    def familiar(self):
        """As people write it: without what is the default."""
        name = self.name
        if self.domain == DEFAULT_DOMAIN:
            name = self.path[len("library/") :] if self.path.startswith("library/") else self.path
        return name + self._rest()

    def _rest(self):
        return (":" + self.tag if self.tag else "") + ("@" + self.digest if self.digest else "")

    def __str__(self):
        return self.name + self._rest()

    def __repr__(self):
        return "Reference(%s)" % self

    def __eq__(self, other):
        return isinstance(other, Reference) and str(self) == str(other)

    def __hash__(self):
        return hash(str(self))

    def with_tag(self, tag):
        return Reference(self.domain, self.path, tag)

    def with_digest(self, digest):
        return Reference(self.domain, self.path, None, str(digest))


def parse(text: str) -> Reference:
    """The reference that `text` is, with the defaults filled in. Raises RuntimeFailure, which says what is wrong."""
    found = _REFERENCE.match(text) if len(text) <= 1024 else None
    if found is None:
        raise RuntimeFailure("not the name of an image: %s" % shown(text), _advice(text))
    domain, path, tag, digest = found.groups()
    if domain is not None and not _is_domain(domain):
        domain, path = None, "%s/%s" % (domain, path)
        if re.match(_PATH + r"\Z", path) is None:  # a domain may be written as a path may not: a--b.c is one of both
            raise RuntimeFailure("not the name of an image: %s" % shown(text), _advice(text))
    if domain is None and len(path) == 64 and re.match("[a-f0-9]+$", path):
        raise RuntimeFailure("not the name of an image, but an id: %s" % shown(text))
    if domain in (None, "index.docker.io"):
        domain = DEFAULT_DOMAIN
    if domain == DEFAULT_DOMAIN and "/" not in path:
        path = "library/" + path
    if len(domain) + 1 + len(path) > _LONGEST:
        raise RuntimeFailure("the name of an image is longer than %d characters: %s" % (_LONGEST, shown(text)))
    if tag is None and digest is None:
        tag = DEFAULT_TAG
    return Reference(domain, path, tag, digest)


def is_tag(text: str) -> bool:
    return _TAGGED.match(text) is not None


def _is_domain(first):
    """Whether what stands before the first slash is a registry: `localhost`, or it has a dot, a port or a capital."""
    return first == "localhost" or "." in first or ":" in first or first != first.lower()


def _advice(text):
    if text != text.lower():
        return "repositories have lower case letters only"
    if text.startswith(("http://", "https://", "docker://")):
        return "leave out what stands before the host"
    return "it has the form [HOST[:PORT]/]NAME[:TAG][@DIGEST]"


def shown(text):
    """Foreign text that may go to a terminal."""
    text = ascii(text)
    return text if len(text) <= 130 else text[:126] + "…'"
