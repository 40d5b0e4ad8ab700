"""JSON from outside, read strictly.

Two programs that read the same document must find the same in it (CVE-2021-41190 is about two that did not). So what
readers differ on is refused: duplicate keys, bytes that are not UTF-8, NaN. Size and depth are bounded.
"""

from shepherd.runtime.bundle import document as documents
from shepherd.runtime.errors import RuntimeFailure

LARGEST = 4 << 20  # bytes of a manifest: distribution specification, "Pushing Manifests"
DEEPEST = 32


def read(data: bytes, what: str, largest=LARGEST) -> dict:
    """The object in `data`. Raises RuntimeFailure; `what` is what the message calls the document."""
    if len(data) > largest:
        raise RuntimeFailure("%s is larger than %d bytes" % (what, largest))
    try:
        found = documents.parsed(data.decode("utf-8"), _Strictly)
    except UnicodeDecodeError:
        raise RuntimeFailure("%s is not UTF-8" % what)
    except RecursionError:
        raise RuntimeFailure("%s is nested too deeply" % what)
    except ValueError as error:
        raise RuntimeFailure("%s is not JSON: %s" % (what, error))
    if not isinstance(found, dict):
        raise RuntimeFailure("%s is not a JSON object" % what)
    _check_depth(found, what)
    return found


def write(document) -> bytes:
    """The same bytes for the same document, an object or a list."""
    return documents.dumps(document, in_order=True).encode("ascii")


def _object(pairs):
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError("the key %s is there twice" % ascii(twice)[:80])
    return found


def _refused(text):
    raise ValueError("%s is not a number of JSON" % text)


class _Strictly(documents.Context):
    object_pairs_hook = staticmethod(_object)
    parse_constant = staticmethod(_refused)


def _check_depth(document, what):
    level, depth = [document], 0
    while level:
        depth += 1
        if depth > DEEPEST:
            raise RuntimeFailure("%s is nested too deeply" % what)
        below = []
        for value in level:
            inner = value.values() if isinstance(value, dict) else value
            below += [item for item in inner if isinstance(item, (dict, list))]
        level = below
