"""JSON, by the compiled half of Python's json alone: the other half takes longer to import than a bundle to read."""

from shepherd.runtime.errors import RuntimeFailure


class _Context:
    """How JSON is read, for the scanner."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float
    memo = {}  # asked for by Python 3.6; it keeps nothing here


def _plain(value):
    raise TypeError("a %s is no plain data" % type(value).__name__)


try:
    from _json import encode_basestring_ascii, make_encoder, make_scanner

    _scan = make_scanner(_Context)

    def dumps(value) -> str:
        """A value as JSON, in ASCII."""
        encoder = make_encoder({}, _plain, encode_basestring_ascii, None, ":", ",", False, False, True)
        return "".join(encoder(value, 0))

    def _loads(text):
        try:
            value, end = _scan(text, 0)
            if not text[end:].strip(" \t\r\n"):
                return value
        except (StopIteration, SystemError, ValueError):
            pass
        import json  # which says what is wrong, and where

        return json.loads(text)

    _loads(dumps([{"a": 1.5}]))
except (ImportError, TypeError, AttributeError):  # another Python, or one that has changed it
    import json

    dumps = json.JSONEncoder(separators=(",", ":")).encode
    _loads = json.loads


def loads(data: bytes, name: str):
    """The value of a text that is all JSON; `name` says in the RuntimeFailure which text it was."""
    try:
        return _loads(data.decode("utf-8"))
    except RecursionError:
        raise RuntimeFailure("%s is not JSON that can be read: it is nested too deep" % name) from None
    except ValueError as error:
        raise RuntimeFailure("%s is not JSON: %s" % (name, error)) from None


def read(path: str):
    """The value of a file that is all JSON. Raises RuntimeFailure."""
    try:
        with open(path, "rb") as file:
            return loads(file.read(), path)
    except OSError as error:
        raise RuntimeFailure("cannot read %s: %s" % (path, error.strerror)) from None


def indented(value) -> str:
    """A value as JSON for people."""
    import json

    return json.dumps(value, indent=2)
