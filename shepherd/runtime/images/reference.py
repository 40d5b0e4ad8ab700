"""Names of images: `registry.example:5000/team/app:1.2@sha256:…`.

The grammar is that of the distribution project ("reference" package), which the OCI distribution specification's
<name> and <reference> agree with. A name without a domain belongs to Docker Hub, as everywhere else; a name of one
component there has `library/` before it; a name without tag and digest has the tag `latest`.
"""

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images.digest import HEX, is_digest

DEFAULT_DOMAIN = "docker.io"
DEFAULT_TAG = "latest"

_DIGITS = frozenset("0123456789")
_SMALL = _DIGITS | frozenset("abcdefghijklmnopqrstuvwxyz")
_LETTERS = _SMALL | frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_TAG = _LETTERS | frozenset("_.-")
_ADDRESS = _DIGITS | frozenset("abcdefABCDEF:")
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
    found = _parts(text) if len(text) <= 1024 else None
    if found is None:
        raise RuntimeFailure("not the name of an image: %s" % shown(text), _advice(text))
    domain, path, tag, digest = found
    if domain is None and len(path) == 64 and HEX.issuperset(path):
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
    return 0 < len(text) <= 128 and _TAG.issuperset(text) and text[0] not in ".-"


# The grammar, by hand: regular expressions are a library that takes longer to load than an image to be found


def _parts(text):
    """(domain or None, path, tag or None, digest or None); None where it is no reference."""
    name, at, digest = text.partition("@")
    first, slash, rest = name.partition("/")
    domain = first if slash and _has_form_of_domain(first) and _is_domain(first) else None
    path, colon, tag = (rest if domain else name).partition(":")
    if (at and not is_digest(digest)) or (colon and not is_tag(tag)) or not all(map(_is_component, path.split("/"))):
        return None
    return domain, path, tag if colon else None, digest if at else None


def _has_form_of_domain(text):
    host, colon, port = text.rpartition(":")
    if text.startswith("["):
        host, end, port = text[1:].partition("]")
        port_is_good = not port or (port[0] == ":" and _is_port(port[1:]))
        return bool(host and end) and _ADDRESS.issuperset(host) and port_is_good
    return (not colon or _is_port(port)) and all(map(_is_label, (host if colon else text).split(".")))


def _is_port(text):
    return bool(text) and _DIGITS.issuperset(text)


def _is_label(text):
    return bool(text) and text[0] != "-" != text[-1] and _LETTERS.issuperset(text.replace("-", ""))


def _is_component(text):
    """Small letters and digits, in groups with one of `.`, `_`, `__` or any number of `-` between them."""
    if not text or text[0] not in _SMALL or text[-1] not in _SMALL:
        return False
    between = ""
    for letter in text:
        if letter in _SMALL:
            if between not in ("", ".", "_", "__") and between.strip("-"):
                return False
            between = ""
        else:
            between += letter
    return True


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
