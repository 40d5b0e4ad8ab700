"""`shepherd-runtime rmi IMAGE…`: take away names of images, and images without one."""

import argparse
import sys

HELP = "remove images"


def run(arguments: list) -> int:
    parser = argparse.ArgumentParser("shepherd-runtime rmi", description=HELP)
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="a name, which goes away, or an id: all its names")
    parser.add_argument("-f", "--force", action="store_true", help="also where a container needs it or it is not here")
    parser.add_argument("--no-prune", action="store_true", help="leave blobs and layers to a later prune")
    options = parser.parse_args(arguments)

    from shepherd.runtime.errors import RuntimeFailure
    from shepherd.runtime.images import collect
    from shepherd.runtime.images.removal import remove
    from shepherd.runtime.images.store import Store

    store = Store()
    failed = 0
    for text in options.images:
        try:
            for line in remove(store, text, options.force):
                sys.stdout.write(line + "\n")
        except RuntimeFailure as error:
            if not (options.force and error.message.startswith("no such image")):
                failed = 1
                sys.stderr.write("shepherd-runtime: %s\n" % error.message)
                if error.hint:
                    sys.stderr.write("  %s\n" % error.hint)
    if not options.no_prune:
        collect.collect(store)
    return failed
