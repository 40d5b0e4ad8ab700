"""What was declared of a container before: kept as NAME.previous, a container that is never started.

So its image stays, whatever is collected or gets its name, and its secrets are kept as any container's: where only root
reads them. An update that went well puts there what it replaced; `state: rolled_back` goes back to it.
"""

import os

from shepherd.remote import declaration, installed
from shepherd.remote.instances import PREVIOUS, find_one


def keep(changes, old, before):
    """Keep the declaration of the Instance `old`. `before` is the Instance that keeps one now, or None.

    Returns the one that does so then. The update has gone well by now: what goes wrong here is a warning.
    """
    if not old.declared or (before is not None and before.declared == old.declared):
        return before
    name = changes.app + PREVIOUS
    if before is not None:
        changes.remove(before.name)
    words = ["create", "--name", name, "--pull", "never", "--network", "none"] + declaration.labels(old.declared)
    words += ["--label", "%s=%s" % (declaration.APP, changes.app)]
    files = []
    for key, content in sorted(secrets(old).items()):
        words += ["--secret", "%s=/dev/fd/%d" % (key, installed.FILES + len(files))]
        files.append(content)
    done = changes.runtime.attempt(words + ["--", image(old), "never"], files)
    if done.status:
        changes.task.warn(
            "%s: what was declared before is not kept, so there is no going back to it: %s"
            % (changes.app, installed.told(done))
        )
    return find_one(changes.runtime, name)


def secrets(instance):
    """Its secrets: {name, name:mode or name:mode:uid:gid: bytes}."""
    found = {}
    for key in instance.record.config.get("Secrets") or ():
        with open(instance.record.path("secrets", key), "rb") as file:
            mode = os.fstat(file.fileno()).st_mode & 0o777
            owner = (instance.record.config.get("SecretOwners") or {}).get(key, "")
            word = "%s:%04o:%s" % (key, mode, owner) if owner else key if mode == 0o400 else "%s:%04o" % (key, mode)
            found[word] = file.read()
    return found


def image(instance):
    """A name for exactly the image that it has, which may have no other any more."""
    return "%s@%s" % (instance.declared["image"].partition("@")[0], instance.record.config["Manifest"])
