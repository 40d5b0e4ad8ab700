"""The values of options, read: numbers, sizes, pairs and lists. All raise RuntimeFailure."""

from shepherd.runtime.containers import log
from shepherd.runtime.errors import RuntimeFailure


def split(words):
    """The names of options that may be repeated and may have commas."""
    return [name for word in words for name in word.split(",") if name]


def pair(text, option):
    """(name, value) of NAME=value."""
    name, equals, value = text.partition("=")
    if not equals:
        raise RuntimeFailure("%s: should be NAME=value, and is %.60r" % (option, text))
    return name, value


def number(text, option):
    """A whole number; None for what is not said."""
    if text is None:
        return None
    try:
        return int(text)
    except ValueError:
        raise RuntimeFailure("%s: should be a whole number, and is %.40r" % (option, text)) from None


def size(text, option):
    """Bytes of `256m` and the like, -1 for no limit; None for what is not said."""
    if text is None:
        return None
    try:
        return -1 if text == "-1" else log.parse_size(text)
    except (ValueError, KeyError):
        raise RuntimeFailure("%s: should be a size such as 256m, and is %.40r" % (option, text)) from None
