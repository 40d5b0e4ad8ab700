"""Verbs that do the same to several containers: one that fails does not keep the others from it."""

import os
import sys

from shepherd.runtime.containers import record as records
from shepherd.runtime.containers.folders import Folders
from shepherd.runtime.errors import RuntimeFailure


def each(words: list, work, say=None, at_once: bool = False, present: bool = True) -> int:
    """`work(record)` for each container named; the word is printed, or what `say` makes of the result.

    With `at_once` they are done side by side, by two processes for each of this machine's processors. Where `present`
    is false, one that is not there is no failure.
    """
    if at_once and len(words) > 1:
        return _side_by_side(words, work, say, present)
    folders = Folders()
    failed = 0
    for word in words:
        text = _one(folders, word, work, say, present)
        if text is None:
            failed = 1
        else:
            sys.stdout.write("%s\n" % text)
            sys.stdout.flush()
    return failed


def _one(folders, word, work, say, present):
    """What to print; None where it failed, which has been said."""
    try:
        record = records.find(folders, word) if present else records.look(folders, word)
        result = work(record) if record is not None else None
        return word if say is None else say(result)
    except RuntimeFailure as error:
        sys.stderr.write("shepherd-runtime: %s\n" % error.message)
        if error.hint:
            sys.stderr.write("  %s\n" % error.hint)
    except OSError as error:
        sys.stderr.write("shepherd-runtime: %s: %s\n" % (word, error))
    return None


def _side_by_side(words, work, say, present):
    """The lines come in the order of the words."""
    folders = Folders()
    children = []
    count = min(len(words), 2 * (os.cpu_count() or 1))
    for number in range(count):
        reader, writer = os.pipe2(os.O_CLOEXEC)
        pid = os.fork()
        if pid == 0:
            try:
                for place in range(number, len(words), count):
                    text = _one(folders, words[place], work, say, present)
                    if text is not None:
                        os.write(writer, ("%d %s\n" % (place, text)).encode("utf-8", "surrogateescape"))
            finally:
                os._exit(0)
        os.close(writer)
        children.append((pid, reader))
    lines = {}
    for pid, reader in children:
        with open(reader, encoding="utf-8", errors="surrogateescape") as file:
            lines.update((int(place), text) for place, _, text in (line.partition(" ") for line in file))
        os.waitpid(pid, 0)
    sys.stdout.write("".join(lines[place] for place in sorted(lines)))
    return int(len(lines) < len(words))


def help_of(arguments: list, usage: str) -> None:
    """Show it where the arguments begin with --help, for a verb that has verbs of its own, say."""
    if arguments[:1] in (["-h"], ["--help"]):
        parse(arguments[:1], {}, usage, 0)


def parse(arguments: list, table: dict, usage: str, least: int = 1, most=None, until_first: bool = False):
    """The options of a verb, by the table of cli/oci/options.py."""
    from shepherd.runtime.cli.oci import options

    return options.parse(arguments, table, usage, least, most, until_first)
