"""Folders that are no longer anybody's: renamed first, so that nobody sees half of one, and taken apart then.

Who takes one apart holds a lock (flock) on it. What a killed process left has a free lock.
"""

import fcntl
import os

from shepherd.runtime.images import trees


def lock(path: str):
    """A descriptor that holds the lock on a folder; None where somebody else has it, or it is not there."""
    try:
        descriptor = os.open(path, trees.FOLDER)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return descriptor
    except OSError:
        os.close(descriptor)
        return None


def bury(path: str) -> None:
    """Take a folder away, unless somebody is at it."""
    held = lock(path)
    if held is None:
        return
    try:
        trees.remove(path)
    except FileNotFoundError:
        pass  # whoever had the lock before us has done it
    finally:
        os.close(held)
