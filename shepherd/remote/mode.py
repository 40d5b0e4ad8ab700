"""File modes as people write them: octal numbers and chmod(1)'s symbolic form."""

import os
import stat

_RWX = {"r": 4, "w": 2, "x": 1}
_SHIFT = {"u": 6, "g": 3, "o": 0}
_SPECIAL = {"u": stat.S_ISUID, "g": stat.S_ISGID}
_OPERATORS = "+-="


class BadModeError(ValueError):
    """Neither octal nor symbolic, or more than permission bits. `details` says what is wrong with it."""

    def __init__(self, message, details):
        ValueError.__init__(self, message)
        self.details = details


def show(mode):
    """Permission bits as results show them: 0644, 01777."""
    return "0%03o" % stat.S_IMODE(mode)


def parse(text, current):
    """The permission bits that `text` (an int, octal digits or symbolic clauses) asks of a file.

    `current` is the file's whole st_mode, which symbolic clauses start from.
    """
    if isinstance(text, int):
        mode = text
    else:
        try:
            mode = int(text, 8)
        except ValueError:
            mode = _symbolic(str(text), current)
    if mode != stat.S_IMODE(mode):
        raise BadModeError("Invalid mode supplied, only permission info is allowed", text)
    return mode


def _umask():
    umask = os.umask(0)
    os.umask(umask)
    return umask


def _symbolic(text, current):
    mode = stat.S_IMODE(current)
    for clause in text.split(","):
        who_end = 0
        while who_end < len(clause) and clause[who_end] in "ugoa":
            who_end += 1
        actions = clause[who_end:]
        users = clause[:who_end]
        if not actions:
            continue  # "": nothing asked for
        if actions[0] not in _OPERATORS or ("a" in users and users != "a"):
            raise BadModeError("mode must be in octal or symbolic form", "bad symbolic permission for mode: %s" % text)
        umask = 0 if users else _umask()  # "+x" adds what a new file would get, "a+x" all of it
        who = "ugo" if users in ("", "a") else users
        at = 0
        while at < len(actions):
            end = at + 1
            while end < len(actions) and actions[end] not in _OPERATORS:
                end += 1
            perms = actions[at + 1 : end]
            if not all(letter in "rwxXstugo" for letter in perms):
                raise BadModeError(
                    "mode must be in octal or symbolic form", "bad symbolic permission for mode: %s" % text
                )
            for user in who:
                mode = _act(mode, stat.S_ISDIR(current), user, actions[at], perms, umask)
            at = end
    return mode


def _act(mode, is_directory, user, operator, perms, umask):
    """One operator of one clause, for one of u, g and o."""
    shift = _SHIFT[user]
    bits = 0
    for letter in perms:
        if letter in _RWX:
            bits |= (_RWX[letter] << shift) & ~umask
        elif letter == "X" and (is_directory or mode & 0o111):
            bits |= (1 << shift) & ~umask
        elif letter == "s":
            bits |= _SPECIAL.get(user, 0)
        elif letter == "t" and user == "o":
            bits |= stat.S_ISVTX
        elif letter in _SHIFT:
            bits |= ((mode >> _SHIFT[letter]) & 7) << shift
    if operator == "+":
        return mode | bits
    if operator == "-":
        return mode & ~bits
    own = (7 << shift) | _SPECIAL.get(user, 0) | (stat.S_ISVTX if user == "o" else 0)
    return (mode & ~own) | bits
