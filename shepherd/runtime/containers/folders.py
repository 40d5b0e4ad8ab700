"""Where containers are kept.

    ROOT/containers/ID/         config.json   what was declared; replaced only by `update` and `rename`
                                state.json    what became of it, written by its monitor
                                stopped       is there when a person stopped it
                                monitor       locked (fcntl(2), F_SETLK) by the monitor for as long as that lives
                                upper/ work/  what it changed of its image (overlay)
                                ID-json.log   what it said, and older parts of it
    ROOT/containers/names/NAME  a symbolic link whose text is the ID
    ROOT/containers/lock        held for a moment by who gives or takes a name
    STATE/containers/ID/        socket, out, err, in: how its monitor is spoken to, and the ends of its streams
    STATE/started/ID/           the OCI record of its processes (bundle/state.py)
    STATE/events                what happened to containers, a line of JSON each

ROOT outlasts the machine's next start, STATE does not have to.
"""

import os

from shepherd.runtime.images import files


class Folders:
    """The places, made where they are missing. `root` and `state` default to the environment's or the system's."""

    def __init__(self, root=None, state=None):
        self.root = os.path.abspath(root or os.environ.get("SHEPHERD_RUNTIME_ROOT") or "/var/lib/shepherd")
        self.state = os.path.abspath(state or os.environ.get("SHEPHERD_RUNTIME_STATE") or "/run/shepherd")
        self.containers = os.path.join(self.root, "containers")
        self.names = os.path.join(self.containers, "names")
        self.started = os.path.join(self.state, "started")
        self.events = os.path.join(self.state, "events")

    def make(self) -> None:
        """Make what is missing."""
        for path in (self.names, os.path.join(self.state, "containers"), self.started):
            files.make_folder(path)

    def lock(self):
        """The lock on all names, as a context."""
        return files.Lock(os.path.join(self.containers, "lock"))

    def container(self, identity: str) -> str:
        """The folder of a container."""
        return os.path.join(self.containers, identity)

    def running(self, identity: str) -> str:
        """The folder of its monitor's ends."""
        return os.path.join(self.state, "containers", identity)
