"""The runtime in the namespaces of a container that it is making, and home again (setns(2), mount_namespaces(7))."""

import os
import sys

from shepherd.runtime.bundle.stage import FILES, KINDS
from shepherd.runtime.linux import syscalls


class Visit:
    """This thread, the only one, is in new namespaces and in those of open descriptors while the context lasts.

    Neither those of users, processes and clocks, which are entered by being born into them, nor of control groups.
    Afterwards it is in its own again, in the folder that it was in. Raises OSError.
    """

    def __init__(self, new: set, joined: dict):
        self._new = new
        self._joined = joined
        self._homes = {}
        self._folders = []

    def __enter__(self):
        try:
            self._folders = [os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) for path in ("/", ".")]
            for kind in self._new | set(self._joined):
                self._keep_home(kind)
            self._mask = os.umask(0o022)
            flags = 0
            for kind in self._new:
                flags |= KINDS[kind]
            syscalls.unshare(flags)
            for kind, descriptor in self._joined.items():
                syscalls.setns(descriptor, KINDS[kind])
        except BaseException:
            self.__exit__()
            raise
        return self

    def _keep_home(self, kind):
        self._homes[kind] = os.open("/proc/thread-self/ns/" + FILES[kind], os.O_RDONLY | os.O_CLOEXEC)

    def follow(self, kind: str, pid: int) -> None:
        """Enter that namespace of a process. Raises OSError."""
        self._keep_home(kind)
        descriptor = os.open("/proc/%d/ns/%s" % (pid, FILES[kind]), os.O_RDONLY | os.O_CLOEXEC)
        try:
            syscalls.setns(descriptor, KINDS[kind])
        finally:
            os.close(descriptor)

    def __exit__(self, *exception):
        try:
            for kind, home in self._homes.items():
                syscalls.setns(home, KINDS[kind])
                os.close(home)
            if "mount" in self._homes:  # it was put to the root of its namespace
                root, folder = self._folders
                os.fchdir(root)
                os.chroot(".")
                os.fchdir(folder)
        except BaseException as error:  # it must not go on where a container is
            sys.stderr.write("shepherd-runtime: cannot leave the container's namespaces: %s\n" % error)
            os._exit(1)
        for folder in self._folders:
            os.close(folder)
        if self._mask is not None:
            os.umask(self._mask)

    _mask = None
