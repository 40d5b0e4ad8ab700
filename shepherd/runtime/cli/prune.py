"""`shepherd-runtime prune`: remove what nothing needs any more."""

import argparse
import sys

HELP = "remove images without a name, and blobs and layers that nothing needs"


def run(arguments: list) -> int:
    parser = argparse.ArgumentParser("shepherd-runtime prune", description=HELP)
    parser.add_argument("-a", "--all", action="store_true", help="also images that no container needs")
    parser.add_argument("-f", "--force", action="store_true", help="do not ask")
    parser.add_argument(
        "--filter",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="of these, those with label=…, label!=…, or made until=TIME",
    )
    options = parser.parse_args(arguments)

    from shepherd.runtime.cli import image_filters, image_output
    from shepherd.runtime.images import collect
    from shepherd.runtime.images.names import Names
    from shepherd.runtime.images.store import Store

    store = Store()
    chosen = image_filters.read(store, options.filter, ("label", "label!", "until"))
    if not options.force and sys.stdin.isatty() and not _agreed(options.all):
        return 1
    pinned = set(store.pins().values())

    def is_unwanted(name, descriptor):
        if (name is not None and not options.all) or descriptor.digest in pinned:
            return False
        return not options.filter or chosen(name, _config(store, descriptor))

    gone = Names(store).remove(is_unwanted)
    for name, descriptor in gone:
        sys.stdout.write("%s\n" % (name.familiar if name is not None else descriptor.digest))
    done = collect.collect(store, partial=True)
    sys.stdout.write("Total reclaimed space: %s\n" % image_output.size(done.size))
    return 0


def _config(store, descriptor):
    from shepherd.runtime.errors import RuntimeFailure
    from shepherd.runtime.images import image

    try:
        return image.read(store, descriptor).config.document
    except RuntimeFailure:
        return None  # another platform's, or an artifact


def _agreed(everything):
    what = "all images that no container needs" if everything else "all images without a name"
    sys.stderr.write("This removes %s, and what only they need. Go on? [y/N] " % what)
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
