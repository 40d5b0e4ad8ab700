"""A Containerfile's text, cut into one piece an instruction (Dockerfile reference, "Format", "Parser directives",
"Escape", "Here-documents").

Comments and blank lines are gone, continued lines are one, and what follows a here-document's mark is with it.
"""

import re

from shepherd.runtime.build.problems import Wrong

DIRECTIVES = ("syntax", "escape", "check")
_DIRECTIVE = re.compile(r"#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.*?)\s*\Z")
_MARK = re.compile(r"\d*<<(-?)([^<].*)\Z", re.S)
_END_OF_NAME = re.compile("[<>|&;()]")
_WITH_DOCUMENTS = ("ADD", "COPY", "RUN")
LARGEST = 16 << 20  # bytes of a Containerfile


class Document:
    """A here-document: its `name`, its `content`, whether variables in it are to be replaced (`expand`); `mark` is the
    word that announced it, `text` how it stands in the file."""

    def __init__(self, name, strip, expand, mark):
        self.name = name
        self.strip = strip
        self.expand = expand
        self.mark = mark
        self.content = ""
        self.text = ""


class Line:
    """An instruction's text: `word` (in capitals), `rest`, the `documents`, and its `first` and `last` line."""

    def __init__(self, text, first, last, documents):
        self.text = text
        parts = text.split(None, 1)
        self.word = parts[0].upper()
        self.rest = parts[1].rstrip() if len(parts) > 1 else ""
        self.first = first
        self.last = last
        self.documents = documents


def decode(data: bytes) -> list:
    """The lines of the file. Raises Wrong."""
    if len(data) > LARGEST:
        raise Wrong("it is larger than %d bytes" % LARGEST)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Wrong("byte %d is not UTF-8" % error.start)
    if "\0" in text:
        raise Wrong("there is a NUL in it")
    lines = text.split("\n")
    return [line[:-1] if line.endswith("\r") else line for line in lines]


def directives(source, problems) -> tuple:
    """(dict of the parser directives at the top, number of lines that they take)."""
    found = {}
    for number, line in enumerate(source):
        match = _DIRECTIVE.match(line.strip())
        name = match.group(1).lower() if match else None
        if name not in DIRECTIVES:
            return found, number
        if name in found:
            problems.add(Wrong("the directive %s is there twice" % name, match.group(1)), number + 1)
        elif name == "escape" and match.group(2) not in ("\\", "`"):
            problems.add(Wrong("the directive escape takes \\ or `", match.group(2) or "escape"), number + 1)
        else:
            found[name] = match.group(2)
    return found, len(source)


def cut(source, start, escape, problems) -> list:
    """The Lines of the file, from index `start` on."""
    continued = re.compile(r"(?:\A|([^{0}])){0}[ \t]*\Z".format(re.escape(escape)))
    found, index = [], start
    while index < len(source):
        text = source[index].lstrip()
        first = index + 1
        index += 1
        if not text or text.startswith("#"):
            continue
        parts = []
        while True:
            match = continued.search(text)
            if match is None:
                parts.append(text)
                break
            parts.append(text[: match.start()] + (match.group(1) or ""))
            while index < len(source) and (not source[index].strip() or source[index].lstrip().startswith("#")):
                index += 1
            if index >= len(source):
                break
            text = source[index]
            index += 1
        whole = "".join(parts)
        if not whole.strip():
            continue
        last = index
        documents = _announced(whole, escape)
        for document in documents:
            index = _fill(document, source, index, problems, first, last)
        found.append(Line(whole, first, last, documents))
    return found


def _announced(text, escape):
    """The here-documents that an instruction's line has marks of."""
    words = text.split(None, 2)
    if words[0].upper() == "ONBUILD" and len(words) > 1:
        words = words[1:] if len(words) == 2 else [words[1], words[2]]
    if words[0].upper() not in _WITH_DOCUMENTS or "<<" not in text:
        return []
    rest = text.split(None, 1)[1]
    found = []
    for word in raw_words(rest, escape):
        match = _MARK.match(word)
        if match is None:
            continue
        name = match.group(2)
        quoted = name[0] in "\"'"
        if quoted:
            end = name.find(name[0], 1)
            name = name[1:end] if end > 0 else ""
        else:
            name = _END_OF_NAME.split(name)[0]
            if escape in name:
                name, quoted = name.replace(escape, ""), True
        if name:
            found.append(Document(name, bool(match.group(1)), not quoted, word))
    return found


def _fill(document, source, index, problems, first, last):
    """Take the lines up to the one that is the document's name; the index after it."""
    content, start = [], index
    while index < len(source):
        line = source[index]
        index += 1
        inner = line.lstrip("\t") if document.strip else line
        if inner == document.name:
            document.content = "".join(one + "\n" for one in content)
            document.text = "".join(one + "\n" for one in source[start:index])
            return index
        content.append(inner)
    problems.add(Wrong("the here-document %s has no end" % document.name, document.mark), first, last)
    return index


def raw_words(text, escape) -> list:
    """Words as they stand: quotes and escapes keep white space together, and stay."""
    found, word, quote, index = [], "", None, 0
    while index < len(text):
        char = text[index]
        index += 1
        if char == escape and quote != "'" and index < len(text):
            word += char + text[index]
            index += 1
            continue
        if quote is None and char in " \t\n\r":
            if word:
                found.append(word)
            word = ""
            continue
        if quote is None and char in "\"'":
            quote = char
        elif char == quote:
            quote = None
        word += char
    if word:
        found.append(word)
    return found
