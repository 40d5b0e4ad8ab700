"""Directories on the way to a path."""

import os


def missing(path):
    """Those that are not there, `path` included, in the order in which they are to be made."""
    found = []
    upper = path.rstrip("/")
    while upper and not os.path.lexists(upper):
        found.append(upper)
        upper = os.path.dirname(upper)
    return found[::-1]
