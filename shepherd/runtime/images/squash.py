"""Owners that a user namespace has no ids for.

They become root: who unpacks has a few thousand ids, or one. A file that becomes root's so does not run with its
rights. Nothing remembers the owner: an image that is made of such files has root's.
"""

from shepherd.runtime.linux import user_namespace


class Squashed:
    """Changes entries of a layer to what can be made here."""

    def __init__(self):
        self._uids, self._gids = user_namespace.maps("uid"), user_namespace.maps("gid")

    def change(self, entry) -> None:
        """`entry` is a tar_reader.Entry."""
        if not user_namespace.knows(self._uids, entry.uid):
            entry.uid = 0
            entry.mode &= ~0o4000
        if not user_namespace.knows(self._gids, entry.gid):
            entry.gid = 0
            entry.mode &= ~0o2000
