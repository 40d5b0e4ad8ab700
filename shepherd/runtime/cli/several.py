"""Verbs that do the same to several containers: one that fails does not keep the others from it."""

import os
import sys

from shepherd.runtime.containers import record as records
from shepherd.runtime.containers.folders import Folders
from shepherd.runtime.errors import RuntimeFailure


def each(words: list, work, say=None, at_once: bool = False) -> int:
    """`work(record)` for each container named; the word is printed, or what `say` makes of the result.

    With `at_once` they are done side by side, by a process for each of this machine's processors.
    """
    if at_once and len(words) > 1:
        return _side_by_side(words, work, say)
    folders = Folders()
    failed = 0
    for word in words:
        try:
            result = work(records.find(folders, word))
            text = word if say is None else say(result)
            if text is not None:
                sys.stdout.write("%s\n" % text)
                sys.stdout.flush()
        except RuntimeFailure as error:
            failed = 1
            sys.stderr.write("shepherd-runtime: %s\n" % error.message)
            if error.hint:
                sys.stderr.write("  %s\n" % error.hint)
    return failed


def _side_by_side(words, work, say):
    children = []
    count = min(len(words), 2 * (os.cpu_count() or 1))
    for number in range(count):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                code = each(words[number::count], work, say)
                sys.stdout.flush()
            except BaseException as error:
                sys.stderr.write("shepherd-runtime: %s\n" % error)
            finally:
                os._exit(code)
        children.append(pid)
    statuses = [os.waitpid(pid, 0)[1] for pid in children]
    return int(any(statuses))


def parse(arguments: list, table: dict, usage: str, least: int = 1, most=None, until_first: bool = False):
    """The options of a verb, by the table of cli/oci/options.py."""
    from shepherd.runtime.cli.oci import options

    return options.parse(arguments, table, usage, least, most, until_first)
