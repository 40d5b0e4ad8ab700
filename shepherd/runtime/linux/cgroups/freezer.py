"""Stopping all processes of a group where they are.

Version 1: Documentation/admin-guide/cgroup-v1/freezer-subsystem.rst. Version 2: cgroup.freeze, since Linux 5.2.
"""

import os
import select
import time

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux.cgroups import folders

# version: (file, what stops, what lets go on)
_FILES = {1: ("freezer.state", "FROZEN", "THAWED"), 2: ("cgroup.freeze", "1", "0")}


def _place(group):
    """(version, folder, file) of where the group can be frozen; None where it cannot."""
    home = group.home("freezer")
    if home is None or not os.path.exists(os.path.join(home[1], _FILES[home[0]][0])):
        return None
    return home[0], home[1], os.path.join(home[1], _FILES[home[0]][0])


def freeze(group, patience: float) -> None:
    """Stop its processes and wait until they have, at most so many seconds. They go on where it fails."""
    place = _place(group)
    if not group.found:
        raise RuntimeFailure("there is no control group to be frozen: none is delegated to this user")
    if place is None:
        raise RuntimeFailure(
            "the control group /%s cannot be frozen: this machine has no freezer" % group.path,
            "it comes with version 1's freezer controller, or with version 2 since Linux 5.2",
        )
    version, folder, file = place
    deadline = time.monotonic() + patience
    try:
        waiting = _wait_old if version == 1 else _wait_new
        folders.write(file, _FILES[version][1])
        waiting(folder, file, deadline)
    except BaseException:
        folders.write(file, _FILES[version][2])
        raise


def _wait_old(folder, file, deadline):
    """A process that is born or moved meanwhile keeps it FREEZING: asked again, it is stopped too."""
    while folders.read(file).strip() != "FROZEN":
        if time.monotonic() > deadline:
            raise RuntimeFailure("the processes in %s do not stop" % folder)
        time.sleep(0.001)
        folders.write(file, "FROZEN")


def _wait_new(folder, _file, deadline):
    """The file of events becomes readable in a special way whenever it has changed."""
    with open(os.path.join(folder, "cgroup.events")) as events:
        poll = select.poll()
        poll.register(events, select.POLLPRI)
        while "frozen 1" not in events.read():
            left = deadline - time.monotonic()
            if left < 0:
                raise RuntimeFailure("the processes in %s do not stop" % folder)
            poll.poll(left * 1000)
            events.seek(0)


def thaw(group) -> None:
    """Let its processes go on."""
    place = _place(group)
    if place is not None:
        folders.write(place[2], _FILES[place[0]][2])


def is_frozen(group) -> bool:
    """Whether it has been asked to stop."""
    place = _place(group)
    return place is not None and folders.read(place[2]).strip() not in (_FILES[place[0]][2], "")


def request(group) -> None:
    """Ask its processes to stop, without waiting for it; where that can be asked."""
    place = _place(group)
    if place is not None:
        try:
            folders.write(place[2], _FILES[place[0]][1])
        except OSError:
            pass  # it has gone


def release(group) -> None:
    """Let all go on, also what groups below it have stopped themselves."""
    place = _place(group)
    if place is None:
        return
    version, folder, _file = place
    name, _stop, go = _FILES[version]
    for inner, _folders, _files in os.walk(folder):
        try:
            folders.write(os.path.join(inner, name), go)
        except OSError:
            pass  # it has gone
