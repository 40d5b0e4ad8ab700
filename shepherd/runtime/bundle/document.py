"""JSON, by the compiled half of Python's json alone: the other half takes longer to import than a bundle to read."""

from shepherd.runtime.errors import RuntimeFailure


class Context:
    """How JSON is read, for the scanner."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float
    memo = {}  # asked for by Python 3.6; it keeps nothing here


def _explained(text, context):
    """By the whole of json, which says what is wrong, and where."""
    import json

    if context is None:
        return json.loads(text)
    return json.loads(text, object_pairs_hook=context.object_pairs_hook, parse_constant=context.parse_constant)


def _plain(value):
    raise TypeError("a %s is no plain data" % type(value).__name__)


try:
    from _json import encode_basestring_ascii, make_encoder, make_scanner

    _scan = make_scanner(Context)

    def dumps(value, in_order: bool = False) -> str:
        """A value as JSON, in ASCII; `in_order`: keys sorted."""
        encoder = make_encoder({}, _plain, encode_basestring_ascii, None, ":", ",", in_order, False, True)
        return "".join(encoder(value, 0))

    def parsed(text: str, context=None):
        """The value of a text that is all JSON, read as a Context says. Raises ValueError."""
        try:
            value, end = (_scan if context is None else make_scanner(context))(text, 0)
            if not text[end:].strip(" \t\r\n"):
                return value
        except (StopIteration, SystemError, ValueError):
            pass
        return _explained(text, context)

    parsed(dumps([{"a": 1.5}]))
except (ImportError, TypeError, AttributeError):  # another Python, or one that has changed it
    import json

    def dumps(value, in_order: bool = False) -> str:
        """A value as JSON, in ASCII; `in_order`: keys sorted."""
        return json.dumps(value, separators=(",", ":"), sort_keys=in_order)

    def parsed(text: str, context=None):
        """The value of a text that is all JSON, read as a Context says. Raises ValueError."""
        return _explained(text, context)


def loads(data: bytes, name: str):
    """The value of a text that is all JSON; `name` says in the RuntimeFailure which text it was."""
    try:
        return parsed(data.decode("utf-8"))
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
