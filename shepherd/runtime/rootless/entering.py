"""A command of an ordinary user enters the user's namespace, in which it is root, and begins again.

It executes its own command line once more. The kernel takes what a process may be looked at by from the namespace that
it was executed in: so what the runtime hides from containers stays visible to the runtime.
"""

import os
import sys

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images import files
from shepherd.runtime.linux import syscalls
from shepherd.runtime.rootless import ids, keeper, places

STARTING = ("run", "start", "restart", "boot")  # what they start outlives them
OUTSIDE = ("install", "pack")  # have nothing to do with containers


def enter(words: list) -> None:
    """Begin again as root of the user's namespace. Returns where that is not needed. Raises RuntimeFailure."""
    if words[0] in OUTSIDE or words[1:2] in (["-h"], ["--help"]):
        return
    root, state = os.environ["SHEPHERD_RUNTIME_ROOT"], os.environ["SHEPHERD_RUNTIME_STATE"]
    for folder in (root, state):
        places.make(os.path.abspath(folder))
    uids, gids = ids.wanted()
    _check_ids(root, ids.shown(uids, gids))
    with files.Lock(os.path.join(state, "keeper.lock")):
        namespace, kept = keeper.find(state, uids, gids)
        lasting = words[0] in STARTING
        if namespace is None or (lasting and not kept):
            namespace = keeper.make(state, uids, gids, lasting, namespace)
    syscalls.setns(namespace, syscalls.CLONE_NEWUSER)
    with open("/proc/self/cmdline", "rb") as file:
        arguments = file.read().split(b"\0")[:-1]
    os.execve(sys.executable, arguments, os.environ)


def _check_ids(root, text):
    """Files in ROOT belong to the ids that it was begun with: with others they would be other users'."""
    path = os.path.join(root, "ids")
    try:
        with open(path) as file:
            before = file.read()
    except FileNotFoundError:
        files.replace(path, text.encode("ascii"))
        return
    if before != text:
        raise RuntimeFailure(
            "this user's subordinate ids have changed: the files in %s belong to others" % root,
            "what it was begun with is in %s; --root says where to begin anew" % path,
        )
