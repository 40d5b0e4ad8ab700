"""--filter of `images` and `prune`: which images are meant, in Docker's words.

Of tests of one kind one has to hold, of labels all; and each kind that is given.
"""

from fnmatch import fnmatchcase

from shepherd.runtime.cli.container import has_label
from shepherd.runtime.containers import clock
from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images import image

KINDS = ("before", "dangling", "label", "label!", "reference", "since", "until")


def read(store, words: list, kinds=KINDS):
    """A function of a name, or None, and of the configuration of its image: whether it is meant. Raises RuntimeFailure.

    Without a configuration (another platform's, an artifact) nobody knows what it would say: it neither has labels nor
    lacks them, and has no age.
    """
    tests = {}
    for word in words:
        kind, equals, value = word.partition("=")
        if kind not in kinds or not equals:
            raise RuntimeFailure("--filter: there is no %.60r" % word, "NAME=VALUE; names: " + ", ".join(kinds))
        tests.setdefault(kind, []).append(_test(store, kind, value))

    def wanted(name, config):
        return all(
            (all if kind.startswith("label") else any)(test(name, config) for test in some)
            for kind, some in tests.items()
        )

    return wanted


def _test(store, kind, value):
    if kind == "dangling":
        if value.lower() not in ("true", "1", "false", "0"):
            raise RuntimeFailure("--filter dangling: should be true or false, and is %.40r" % value)
        return lambda name, _config: (name is None) == (value.lower() in ("true", "1"))
    if kind == "reference":
        return lambda name, _config: name is not None and _matches(name, value)
    if kind.startswith("label"):
        right = kind == "label"
        return lambda _name, config: config is not None and has_label(config.get("config") or {}, value) == right
    if kind == "until":
        moment = clock.moment(value, "--filter until")
    else:
        moment = _created(image.find(store, value).config.document)
    if kind == "since":
        return lambda _name, config: config is not None and _created(config) > moment
    return lambda _name, config: config is not None and _created(config) < moment


def _created(config):
    """Seconds since 1970; what does not say is the oldest."""
    try:
        return clock.seconds_of(str(config.get("created")))
    except (ValueError, OverflowError):
        return 0.0


def _matches(name, pattern):
    """Whether a pattern means this name, with its tag or without; a * ends at a /."""
    whole = name.familiar
    bare = whole[: -len(name.tag) - 1] if name.tag else whole.partition("@")[0]
    parts = pattern.split("/")
    return any(
        len(parts) == text.count("/") + 1 and all(map(fnmatchcase, text.split("/"), parts)) for text in (whole, bare)
    )
