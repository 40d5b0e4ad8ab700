"""Options of a verb of the OCI command line, from a table: argparse takes as long to import as a container to start.

A table is a dict of option to (name, kind): kind is bool, str, int or list (may be given again). An option that is also
written short stands in the table twice.
"""

from shepherd.runtime.errors import RuntimeFailure, nearest


class Options:
    """The values by name, as attributes; `rest` are the arguments."""

    def __init__(self, table: dict):
        for name, kind in table.values():
            setattr(self, name, {bool: False, list: None}.get(kind))
        for name, kind in table.values():
            if kind is list:
                setattr(self, name, [])
        self.rest = []


def parse(words: list, table: dict, usage: str, least: int = 0, most=None, until_first: bool = False) -> Options:
    """Read the words. Raises RuntimeFailure with the usage.

    `least` and `most` are how many arguments there may be; with `until_first` all words after the first argument are
    arguments, for verbs that take a command.
    """
    found = Options(table)
    words = list(words)
    while words:
        word = words.pop(0)
        if word in ("--help", "-h"):
            raise Help("usage: shepherd-runtime " + usage + _listed(table))
        if word == "--" and not found.rest:
            found.rest += words
            break
        if not word.startswith("-") or word == "-":
            found.rest.append(word)
            if until_first:
                found.rest += words
                break
            continue
        option, equals, value = word.partition("=")
        if option not in table and word[1] != "-" and word[:2] in table:  # -it, -p80:80
            inner = table[word[:2]][1]
            if inner is bool and len(word) > 2 and not equals:
                setattr(found, table[word[:2]][0], True)
                words.insert(0, "-" + word[2:])
                continue
            if inner is not bool:
                option, equals, value = word[:2], "=", word[2:]
        if option not in table:
            near = nearest(option, table)
            wrong = "%s: no such option%s" % (option, "; " + near if near else "")
            raise RuntimeFailure(wrong, "usage: shepherd-runtime " + usage)
        name, kind = table[option]
        if kind is bool:
            if equals and value not in ("true", "false"):
                raise RuntimeFailure("%s: takes true or false" % option)
            setattr(found, name, value != "false")
            continue
        if not equals:
            if not words:
                raise RuntimeFailure("%s: needs a value" % option, "usage: shepherd-runtime " + usage)
            value = words.pop(0)
        if kind is int:
            try:
                value = int(value)
            except ValueError:
                raise RuntimeFailure("%s: should be a whole number, and is %.40r" % (option, value)) from None
        if kind is list:
            getattr(found, name).append(value)
        else:
            setattr(found, name, value)
    if len(found.rest) < least or (most is not None and len(found.rest) > most):
        raise RuntimeFailure("%s arguments" % ("too few" if len(found.rest) < least else "too many"),
                             "usage: shepherd-runtime " + usage)  # fmt: skip
    return found


class Help(Exception):  # noqa: N818 - nothing is wrong
    """The text that was asked for."""


def _listed(table):
    names = {}
    for option, (name, kind) in table.items():
        names.setdefault(name, ([], kind))[0].append(option)
    kinds = {bool: "", str: " VALUE", int: " NUMBER", list: " VALUE (again and again)"}
    return "".join("\n  %s%s" % (", ".join(options), kinds[kind]) for options, kind in names.values())
