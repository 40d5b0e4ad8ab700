"""Instructions: what each of the eighteen takes, as a table, and how its text is read (Dockerfile reference)."""

import re

from shepherd.runtime.build import lines, words
from shepherd.runtime.build.problems import Wrong
from shepherd.runtime.errors import RuntimeFailure, nearest

_FILES = {"chown": "text", "chmod": "text", "link": "flag", "exclude": "list"}
# instruction → the options before its arguments
OPTIONS = {
    "ADD": dict(_FILES, checksum="text", unpack="flag"),
    "ARG": {},
    "CMD": {},
    "COPY": dict(_FILES, parents="flag", **{"from": "text"}),
    "ENTRYPOINT": {},
    "ENV": {},
    "EXPOSE": {},
    "FROM": {"platform": "text"},
    "HEALTHCHECK": {
        "interval": "time",
        "timeout": "time",
        "start-period": "time",
        "start-interval": "time",
        "retries": "number",
    },
    "LABEL": {},
    "MAINTAINER": {},
    "ONBUILD": {},
    "RUN": {"mount": "list", "network": "text", "security": "text"},
    "SHELL": {},
    "STOPSIGNAL": {},
    "USER": {},
    "VOLUME": {},
    "WORKDIR": {},
}
_REFUSED = {
    ("RUN", "device"): "a step of a build gets no devices",
    ("ADD", "keep-git-dir"): "repositories are not fetched here: fetch it before the build",
}
NO_TRIGGERS = ("ONBUILD", "FROM", "MAINTAINER")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_STAGE = re.compile(r"[a-z][a-z0-9_.-]*\Z")
_TIME = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_UNITS = {"ns": 1, "us": 1000, "µs": 1000, "ms": 1000000, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_OCTAL = re.compile(r"[0-7]{1,4}\Z")


class Instruction:
    """`name`, `options` by name, `arguments` (see READERS for their form), `documents`; `shell` says that a command is
    a text for a shell. `text` is all of it, `first` and `last` its lines."""

    def __init__(self, line, name, options, escape):
        self.name = name
        self.options = options
        self.escape = escape
        self.text = line.text
        self.first = line.first
        self.last = line.last
        self.documents = line.documents
        self.arguments = None
        self.shell = False


def read(line, escape="\\") -> Instruction:
    """The instruction that the line is. Raises Wrong."""
    name = line.word
    if name not in OPTIONS:
        raise Wrong("there is no instruction %s" % name[:40], line.text.split()[0], nearest(name, OPTIONS))
    options, rest = _options(name, line.rest, escape)
    found = Instruction(line, name, options, escape)
    if not rest and name not in ("CMD",):
        raise Wrong("%s needs an argument" % name, line.text.split()[0])
    READERS[name](found, rest)
    _try_variables(found)
    return found


def _options(name, rest, escape):
    """({option: value}, what comes after them)."""
    found, known = {}, OPTIONS[name]
    while rest.startswith("--"):
        word = lines.raw_words(rest, escape)[0]
        if word == "--":
            return found, rest[2:].lstrip()
        rest = rest[len(word) :].lstrip()
        key, equals, value = word[2:].partition("=")
        if (name, key) in _REFUSED:
            raise Wrong("%s --%s: %s" % (name, key, _REFUSED[name, key]), word)
        if key not in known:
            hint = nearest(key, known)
            raise Wrong("%s has no option --%s" % (name, key[:40]), "--" + key, hint)
        kind = known[key]
        if kind == "flag":
            if equals and value.lower() not in _FLAGS:
                raise Wrong("--%s is true or false" % key, word)
            value = not equals or _FLAGS[value.lower()]
        elif not value:
            raise Wrong("--%s needs a value: --%s=…" % (key, key), word)
        elif "$" not in value:
            value = _VALUES[kind](value, word)
        elif kind not in ("text", "list"):
            raise Wrong("--%s takes no variable" % key, word)
        if kind == "list":
            found.setdefault(key, []).append(value)
        elif key in found:
            raise Wrong("--%s is there twice" % key, word)
        else:
            found[key] = value
    return found, rest


_FLAGS = {"true": True, "1": True, "t": True, "false": False, "0": False, "f": False}


def duration(text, word=None) -> int:
    """Nanoseconds of a text such as 1m30s."""
    parts = _TIME.findall(text)
    if text == "0":
        return 0
    if not parts or "".join(number + unit for number, unit in parts) != text or len(text) > 40:
        raise Wrong("%s is no time, such as 30s or 1m30s" % text[:40], word or text)
    total = int(sum(float(number) * _UNITS[unit] for number, unit in parts))
    if 0 < total < 1000000 or total >= 1 << 63:
        raise Wrong("%s is less than a millisecond, or more than can be" % text[:40], word or text)
    return total


def _number(text, word):
    if not text.isdigit() or len(text) > 9:
        raise Wrong("%s is no number" % text[:40], word)
    return int(text)


def _text(text, _word):
    return text


_VALUES = {"text": _text, "list": _text, "time": duration, "number": _number}


# Arguments


def exec_form(text):
    """The list of strings that the text is in JSON, or None."""
    if not text.startswith("["):
        return None
    import json

    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        return None
    if any("\0" in one for one in found):
        raise Wrong("there is a NUL in it", text[:40])
    return found


def _command(found, rest):
    """A list of words, or the text for a shell."""
    found.arguments = exec_form(rest)
    if found.arguments is None:
        found.arguments, found.shell = rest, True
    if found.name == "RUN":
        if not found.arguments:
            raise Wrong("RUN needs a command", found.text.split()[0])
        _check_step(found.options)


def _check_step(options):
    """What can be seen of a RUN's options before variables are known."""
    from shepherd.runtime.build import mounting

    for text in options.get("mount", ()):
        if "$" not in text:
            mounting.parse(text)
    for name, known in (("network", ("default", "none", "host")), ("security", ("sandbox",))):
        value = options.get(name, known[0])
        if value not in known and "$" not in value:
            hint = "steps run as containers do" if value == "insecure" else nearest(value, known)
            raise Wrong("--%s=%s is not possible" % (name, value[:40]), "--%s=%s" % (name, value), hint)


def _files(found, rest):
    """Sources and a destination."""
    found.arguments = exec_form(rest)
    if found.arguments is None:
        found.arguments = rest.split()
    if len(found.arguments) < 2:
        raise Wrong("%s needs at least one source, and a destination" % found.name, found.text.split()[0])
    last = found.arguments[-1]
    if len(found.arguments) > 2 and "$" not in last and not last.endswith("/") and last not in (".", ".."):
        raise Wrong("several sources need a folder as their destination: %s/" % last, last)
    marks = {document.mark for document in found.documents}
    if marks and found.arguments[-1] in marks:
        raise Wrong("a here-document is no destination", found.arguments[-1])
    mode = found.options.get("chmod")
    if mode is not None and "$" not in mode:
        check_mode(mode)
    checksum = found.options.get("checksum")
    if checksum is not None and "$" not in checksum:
        from shepherd.runtime.images.digest import Digest

        try:
            Digest(checksum)
        except RuntimeFailure as error:
            raise Wrong(error.message, checksum)


def _pairs(found, rest):
    """(name, value) each; the older form has one name and takes the rest of the line as it is."""
    parts = lines.raw_words(rest, found.escape)
    if "=" not in parts[0]:
        value = rest[len(parts[0]) :].strip()
        if not value:
            raise Wrong("%s %s has no value: %s=…" % (found.name, parts[0][:40], parts[0][:40]), parts[0])
        found.arguments = [(parts[0], value)]
        return
    found.arguments = []
    for part in parts:
        name, equals, value = part.partition("=")
        if not equals:
            raise Wrong("%s has the form NAME=VALUE; with white space, in quotes" % found.name, part)
        if not name:
            raise Wrong("a name is missing before the =", part)
        found.arguments.append((name, value))


def _arguments(found, rest):
    """(name, default or None) each."""
    found.arguments = []
    for part in lines.raw_words(rest, found.escape):
        name, equals, value = part.partition("=")
        if _NAME.match(name) is None:
            raise Wrong("%s is no name of a variable" % name[:40] if name else "a name is missing", part)
        found.arguments.append((name, value if equals else None))


def _one(found, rest):
    found.arguments = rest


def _user(found, rest):
    if len(lines.raw_words(rest, found.escape)) != 1:
        raise Wrong("USER takes one user", rest)
    found.arguments = rest


def _list(found, rest):
    found.arguments = exec_form(rest)
    if found.arguments is None:
        found.arguments = rest.split()
    if not found.arguments or not all(one.strip() for one in found.arguments):
        raise Wrong("a path is missing", rest)


def _shell(found, rest):
    found.arguments = exec_form(rest)
    if not found.arguments:
        raise Wrong('SHELL has the form ["program", "option"], in JSON', rest)


def _from(found, rest):
    """(image, name of the stage or None)"""
    parts = rest.split()
    if len(parts) == 3 and parts[1].lower() == "as":
        name = parts[2].lower()
        if _STAGE.match(name) is None:
            raise Wrong("%s is no name of a stage: a letter, then letters, digits, and _ . -" % parts[2][:40], parts[2])
        found.arguments = (parts[0], name)
    elif len(parts) == 1:
        found.arguments = (parts[0], None)
    else:
        raise Wrong("FROM has the form FROM IMAGE [AS NAME]", parts[1])


def _health(found, rest):
    """The list that a configuration has as Test."""
    word = rest.split(None, 1)
    kind = word[0].upper()
    command = word[1] if len(word) > 1 else ""
    if kind == "NONE":
        if command or found.options:
            raise Wrong("HEALTHCHECK NONE takes nothing else", word[0])
        found.arguments = ["NONE"]
    elif kind == "CMD":
        if not command:
            raise Wrong("HEALTHCHECK CMD needs a command", word[0])
        listed = exec_form(command)
        found.arguments = ["CMD-SHELL", command] if listed is None else ["CMD"] + listed
    else:
        raise Wrong("HEALTHCHECK is followed by CMD or NONE", word[0], nearest(kind, ("CMD", "NONE")))


def _trigger(found, rest):
    """The text of another instruction, for the builds that begin with this image."""
    line = lines.Line(rest, found.first, found.last, found.documents)
    if line.word in NO_TRIGGERS:
        raise Wrong("ONBUILD %s is not possible" % line.word, rest.split()[0])
    read(line, found.escape)
    texts = "".join(document.text for document in found.documents)
    found.arguments = rest + ("\n" + texts if texts else "")


READERS = {
    "ADD": _files,
    "ARG": _arguments,
    "CMD": _command,
    "COPY": _files,
    "ENTRYPOINT": _command,
    "ENV": _pairs,
    "EXPOSE": _one,
    "FROM": _from,
    "HEALTHCHECK": _health,
    "LABEL": _pairs,
    "MAINTAINER": _one,
    "ONBUILD": _trigger,
    "RUN": _command,
    "SHELL": _shell,
    "STOPSIGNAL": _one,
    "USER": _user,
    "VOLUME": _list,
    "WORKDIR": _one,
}


def check_mode(text) -> None:
    """Raise Wrong where it is no mode as chmod(1) takes it."""
    from shepherd.runtime.build.copying import symbolic

    if _OCTAL.match(text) is None and symbolic(text) is None:
        raise Wrong("%s is no mode, such as 755 or u=rwX,go=rX" % text[:40], text)


# Where variables are replaced, and not left to a shell


def _try_variables(found):
    """See that all of it can be read, whatever the variables are."""
    for text in _texts_with_variables(found):
        words.expand(text, words.Anything(), found.escape)
    for document in found.documents:
        if document.expand and found.name in ("ADD", "COPY"):
            words.expand_document(document.content, words.Anything(), found.escape)


def _texts_with_variables(found):
    name, arguments = found.name, found.arguments
    for value in found.options.values():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, str):
                yield one
    if name in ("ENV", "LABEL"):
        for pair in arguments:
            for text in pair:
                yield text
    elif name == "ARG":
        for _, default in arguments:
            if default is not None:
                yield default
    elif name in ("ADD", "COPY", "VOLUME"):
        for text in arguments:
            yield text
    elif name in ("EXPOSE", "STOPSIGNAL", "USER", "WORKDIR"):
        yield arguments
    elif name == "FROM":
        yield arguments[0]
