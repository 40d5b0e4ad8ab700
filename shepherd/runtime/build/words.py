"""Words with quotes and variables in them (Dockerfile reference, "Environment replacement").

    $name ${name}    ${name:-word} ${name-word}    ${name:+word} ${name+word}    ${name:?word} ${name?word}
    ${name#pattern} ${name##pattern} ${name%pattern} ${name%%pattern}    ${name/pattern/word} ${name//pattern/word}

With a colon, empty is as good as unset. What is unset and has no word instead is nothing.
"""

import re

from shepherd.runtime.build.problems import Wrong

_DEEPEST = 64
_SPACE = " \t\n\r"


def expand(text, variables, escape="\\") -> str:
    """One word: variables replaced, quotes taken away. Raises Wrong."""
    reader = _Reader(text, variables, escape, False)
    reader.read(None)
    return "".join(reader.words)


def expand_words(text, variables, escape="\\") -> list:
    """The same for what may be several words, also by what is in a variable outside of quotes."""
    reader = _Reader(text, variables, escape, True)
    reader.read(None)
    return reader.words


def expand_document(text, variables, escape="\\") -> str:
    """The content of a here-document: quotes are as good as any other character."""
    reader = _Reader(text, variables, escape, False)
    reader.quotes = False
    reader.read(None)
    return "".join(reader.words)


class Anything(dict):
    """Variables that all have a value: to see whether a text can be read at all."""

    def get(self, *_):
        return "x"


class _Reader:
    def __init__(self, text, variables, escape, split, depth=0):
        if depth > _DEEPEST:
            raise Wrong("variables in variables in variables", text[:40])
        self._text = text
        self._place = 0
        self._variables = variables
        self._escape = escape
        self._split = split
        self._depth = depth
        self._open = False
        self.words = []
        self.quotes = True

    def _add(self, text):
        if not self._open:
            self.words.append("")
            self._open = True
        self.words[-1] += text

    def _next(self):
        if self._place >= len(self._text):
            return ""
        char = self._text[self._place]
        self._place += 1
        return char

    def _peek(self):
        return self._text[self._place : self._place + 1]

    def read(self, stop):
        """Up to the character `stop`, or to the end."""
        while True:
            char = self._next()
            if not char:
                if stop is not None:
                    raise Wrong("a %s is missing" % stop, self._text[-20:])
                return
            if char == stop:
                return
            if char == "'" and self.quotes:
                end = self._text.find("'", self._place)
                if end < 0:
                    raise Wrong("a ' has no second one", self._text[self._place - 1 :][:40])
                self._add(self._text[self._place : end])
                self._place = end + 1
            elif char == '"' and self.quotes:
                self._read_quoted()
            elif char == "$":
                self._take(self._variable())
            elif char == self._escape:
                after = self._next()
                if not self.quotes and after not in ("$", self._escape):
                    after = char + after
                self._add(after or char)
            elif self._split and char in _SPACE:
                self._open = False
            else:
                self._add(char)

    def _take(self, value):
        if not self._split:
            self._add(value)
            return
        for char in value:
            if char in _SPACE:
                self._open = False
            else:
                self._add(char)

    def _read_quoted(self):
        start = self._place - 1
        self._add("")
        while True:
            char = self._next()
            if not char:
                raise Wrong('a " has no second one', self._text[start : start + 40])
            if char == '"':
                return
            if char == "$":
                self._add(self._variable())
            elif char == self._escape:
                after = self._next()
                self._add(after if after in ('"', "$", self._escape) else char + after)
            else:
                self._add(char)

    # Variables

    def _variable(self):
        """What the variable is whose $ has been read."""
        start = self._place - 1
        if self._peek() != "{":
            name = self._name()
            return "$" if not name else self._variables.get(name) or ""
        self._place += 1
        name = self._name()
        if not name:
            raise Wrong("this is no variable", self._text[start : start + 20])
        value = self._variables.get(name)
        char = self._next()
        if char == "}":
            return value or ""
        if char == ":":
            value = value or None
            char = self._next()
            if char not in ("-", "+", "?"):
                raise Wrong("after the colon there can be - or + or ?", self._text[start : self._place])
        if char in ("-", "+", "?") and char:
            return self._alternative(char, name, value, self._inner("}"))
        if char in ("#", "%") and char:
            longest = self._peek() == char
            self._place += longest
            return _without(value or "", self._inner("}", True), char, longest)
        if char == "/":
            everywhere = self._peek() == "/"
            self._place += everywhere
            pattern = self._inner("/", True)
            return _replaced(value or "", pattern, self._inner("}"), everywhere)
        raise Wrong("a } is missing" if not char else "%s means nothing after the name" % char, self._text[start:][:40])

    @staticmethod
    def _alternative(char, name, value, word):
        if char == "-":
            return word if value is None else value
        if char == "+":
            return "" if value is None else word
        if value is None:
            raise Wrong("%s: %s" % (name, word or "is not set"), name)
        return value

    def _inner(self, stop, pattern=False):
        """The word or the pattern up to `stop`, in which there may be variables, too."""
        inner = _Reader(self._text, self._variables, self._escape, False, self._depth + 1)
        inner._place = self._place
        if pattern:
            text = inner._read_pattern(stop)
        else:
            inner.read(stop)
            text = "".join(inner.words)
        self._place = inner._place
        return text

    def _read_pattern(self, stop):
        """A regular expression for the pattern: * and ? are any characters and any one, unless they are escaped."""
        found = []
        while True:
            char = self._next()
            if not char:
                raise Wrong("a %s is missing" % stop, self._text[-20:])
            if char == stop:
                return "".join(found)
            if char == "$":
                found.append(re.escape(self._variable()))
            elif char == self._escape:
                found.append(re.escape(self._next()))
            elif char == "*":
                if found[-1:] != [".*"]:
                    found.append(".*")
            else:
                found.append("." if char == "?" else re.escape(char))

    def _name(self):
        match = _NAME.match(self._text, self._place)
        if match is None:
            return ""
        self._place = match.end()
        return match.group()


_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9]|[@*#?$!-](?=\})")


def _without(value, pattern, side, longest):
    """Without what matches at the beginning (#) or at the end (%), as much or as little of it as possible."""
    compiled = re.compile(pattern + r"\Z", re.S)
    places = range(len(value) + 1)
    if (side == "#") == longest:
        places = reversed(places)
    for place in places:
        part = value[:place] if side == "#" else value[place:]
        if compiled.match(part):
            return value[place:] if side == "#" else value[:place]
    return value


def _replaced(value, pattern, word, everywhere):
    if not pattern:
        return value
    return re.sub(pattern, lambda _: word, value, count=0 if everywhere else 1, flags=re.S)
