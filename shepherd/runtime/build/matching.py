"""Patterns of paths: `*`, `?`, `[a-z]`, `\\` (Go's path/filepath.Match, which the Dockerfile reference names), and
`**` for any number of folders."""

import re


class BadPattern(ValueError):  # noqa: N818 - a person hears of a bad pattern
    """It cannot be read: a [ without its ]."""


def is_pattern(text) -> bool:
    return any(char in text for char in "*?[\\")


def translate(pattern, deep=True) -> str:
    """A regular expression for whole paths. `deep`: two stars match folders in folders."""
    found, index = [], 0
    while index < len(pattern):
        char = pattern[index]
        index += 1
        if char == "*":
            if deep and pattern[index : index + 1] == "*":
                while pattern[index : index + 1] == "*":
                    index += 1
                if pattern[index : index + 1] == "/":
                    index += 1
                    if found[-1:] != ["(?:.*/)?"]:
                        found.append("(?:.*/)?")
                else:
                    found.append(".*")
            elif found[-1:] != ["[^/]*"]:
                found.append("[^/]*")
        elif char == "?":
            found.append("[^/]")
        elif char == "[":
            text, index = _set(pattern, index)
            found.append(text)
        elif char == "\\":
            if index >= len(pattern):
                raise BadPattern("the pattern ends in a \\")
            found.append(re.escape(pattern[index]))
            index += 1
        else:
            found.append(re.escape(char))
    return "".join(found) + r"\Z"


def compiled(pattern, deep=True):
    return re.compile(translate(pattern, deep), re.S)


def _set(pattern, index):
    """A set such as [^a-z] from the character after its [; (regular expression, index after it)."""
    negated = pattern[index : index + 1] == "^"
    index += negated
    ranges = []
    while True:
        if pattern[index : index + 1] == "]" and ranges:
            break
        low, index = _member(pattern, index)
        high = low
        if pattern[index : index + 1] == "-":
            high, index = _member(pattern, index + 1)
        if low <= high:
            ranges.append("%s-%s" % (re.escape(low), re.escape(high)))
        else:
            ranges.append("")  # as Go has it: nothing is in it
    inner = "".join(ranges)
    if not inner:
        return ("[^/]" if negated else "(?!)"), index + 1
    return ("(?!/)[%s%s]" % ("^" if negated else "", inner)), index + 1


def _member(pattern, index):
    char = pattern[index : index + 1]
    if char in ("", "-", "]"):
        raise BadPattern("a [ has no ]")
    if char == "\\":
        index += 1
        char = pattern[index : index + 1]
        if not char:
            raise BadPattern("a [ has no ]")
    return char, index + 1
