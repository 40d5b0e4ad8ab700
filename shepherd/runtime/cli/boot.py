"""`shepherd-runtime boot`: start what should run; `boot install` has that done at each start of the machine."""

import sys

from shepherd.runtime.cli import several
from shepherd.runtime.containers import boot, launch
from shepherd.runtime.containers.folders import Folders
from shepherd.runtime.errors import RuntimeFailure

HELP = "start what should run; install or remove what does so with the machine; stop"


def run(arguments: list) -> int:
    """1 where a container could not be started."""
    options = several.parse(arguments, {}, "boot [install|remove|stop]", 0, 1)
    folders = Folders()
    folders.make()
    verb = options.rest[0] if options.rest else "start"
    if verb == "start":
        launch.warm()
        return min(1, boot.start(folders))
    if verb == "stop":
        boot.stop(folders)
    elif verb == "install":
        sys.stdout.write(boot.install(folders) + "\n")
    elif verb == "remove":
        sys.stdout.write("".join(path + "\n" for path in boot.remove()))
    else:
        raise RuntimeFailure("boot: there are install, remove and stop, and no %.40r" % verb)
    return 0
