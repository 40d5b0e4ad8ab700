"""What is wrong with a Containerfile, all of it at once, each with its place and the line."""

from shepherd.runtime.errors import RuntimeFailure

_MOST = 20


class Wrong(Exception):  # noqa: N818 - something is wrong, and it is said
    """One thing that is wrong. `word` is the text in the line that it is about."""

    def __init__(self, message, word=None, hint=None):
        super().__init__(message)
        self.message = message
        self.word = word
        self.hint = hint


class Problems:
    """Collected for the file `name`, whose `source` is a list of lines."""

    def __init__(self, name, source):
        self.name = name
        self.source = source
        self.found = []

    def add(self, wrong, first, last=None):
        """`wrong` is in the lines from `first` to `last`, counted from 1."""
        self.found.append(self.describe(wrong, first, last))

    def describe(self, wrong, first, last=None) -> str:
        """`FILE:LINE:COLUMN: message`, the line, and a mark under the word; the column where the word is found."""
        line, column = first, None
        if wrong.word:
            for number in range(first, (last or first) + 1):
                column = self.source[number - 1].find(wrong.word)
                if column >= 0:
                    line = number
                    break
        text = self.source[line - 1] if line <= len(self.source) else ""
        place = "%s:%d" % (self.name, line)
        mark = ""
        if column is not None and column >= 0:
            place += ":%d" % (column + 1)
            mark = "\n    " + " " * len(shown(text[:column])) + "^" * max(1, len(shown(wrong.word)))
            if column > 150:
                mark = ""
        hint = "; " + wrong.hint if wrong.hint else ""
        return "%s: %s%s\n    %s%s" % (place, wrong.message, hint, shown(text)[:200], mark)

    def check(self):
        """Raise RuntimeFailure where there are any."""
        if self.found:
            more = len(self.found) - _MOST
            text = "\n".join(self.found[:_MOST])
            raise RuntimeFailure(text + ("\n… and %d more" % more if more > 0 else ""))


def shown(text) -> str:
    """Foreign text, of one line, that may go to a terminal."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else " " if one == "\t" else ascii(one)[1:-1] for one in text)
