"""Folders of a build in the store's staging, each locked by who made it.

One that a killed build left is rubbish to the next collection, and to the next build: nobody holds its lock.
"""

import hashlib
import os

from shepherd.runtime.images import files, trees


def make(store, path) -> int:
    """Make the folder `path` in the staging; the descriptor that holds its lock, to be closed after it is gone."""
    with store.lock(shared=True):  # so that no collection finds it between its making and its lock
        os.mkdir(path, 0o700)
        holder = trees.open_folder(path)
        files.try_lock(holder)
    return holder


def prefix(store) -> str:
    """What the names of this store's builds begin with."""
    return "build-%s-" % hashlib.sha256(os.fsencode(store.root)).hexdigest()[:8]


def sweep(store) -> list:
    """Take away the folders of builds that were killed; the names of those that live."""
    living, dead = [], []
    with store.lock():  # so that none is found between its making and its lock
        for name in os.listdir(store.path("staging")):
            if not name.startswith("build-"):
                continue
            try:
                holder = trees.open_folder(store.path("staging", name))
            except FileNotFoundError:
                continue  # a build that ended
            if files.try_lock(holder):
                dead.append((name, holder))
            else:
                os.close(holder)
                living.append(name)
    for name, holder in dead:
        try:
            trees.remove(store.path("staging", name))
        except FileNotFoundError:
            pass  # it was ending
        finally:
            os.close(holder)
    return living
