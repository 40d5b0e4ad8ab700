""".dockerignore: which files of a context are not there for a build (Docker, "Build context", ".dockerignore files").

One pattern a line, of paths from the context's folder; `!` before it takes files back in; the last that matches
decides. What is in a folder that a pattern matches is matched, too.
"""

import re

from shepherd.runtime.build import matching
from shepherd.runtime.build.problems import shown
from shepherd.runtime.errors import RuntimeFailure


class Ignore:
    """`patterns` are (whether they leave out, compiled, text without wildcards that matches begin with)."""

    def __init__(self, patterns=()):
        self._patterns = list(patterns)
        self._everything = None
        self._returns = [fixed for out, _, fixed in self._patterns if not out]

    def __bool__(self):
        return bool(self._patterns)

    def leaves_out(self, path) -> bool:
        """Whether the file or folder at `path` (relative, without . and ..) is not there."""
        found = False
        above = []
        if path:
            parts = path.split("/")
            above = ["/".join(parts[:count]) for count in range(len(parts), 0, -1)]
        for out, pattern, _ in self._patterns:
            if out != found and any(pattern.match(one) for one in above):
                found = out
        return found

    def may_return_below(self, path) -> bool:
        """Whether something in a folder that is left out may have been taken back in."""
        start = path + "/"
        return any(fixed.startswith(start) or start.startswith(fixed) for fixed in self._returns)


def parse(data: bytes, name: str) -> Ignore:
    """The patterns of the file. Raises RuntimeFailure."""
    found = []
    for number, line in enumerate(data.decode("utf-8-sig", "surrogateescape").split("\n"), 1):
        if line.startswith("#"):
            continue
        text = line.strip()
        if not text:
            continue
        out = not text.startswith("!")
        text = clean(text if out else text[1:].strip())
        if not text and not out:
            raise RuntimeFailure("%s:%d: there is nothing after the !" % (name, number))
        if not text:
            continue  # the context's folder itself is always there
        try:
            found.append((out, matching.compiled(text), _fixed(text)))
        except matching.BadPattern as error:
            raise RuntimeFailure("%s:%d: %s: %s" % (name, number, shown(text)[:100], error))
    return Ignore(found)


def clean(path) -> str:
    """The path from the top: without `.`, empty parts, and `..` that would lead out."""
    parts = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def _fixed(pattern):
    return re.split(r"[*?\[\\]", pattern)[0]
