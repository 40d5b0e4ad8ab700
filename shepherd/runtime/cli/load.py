"""`shepherd-runtime load` and `image import`: take images out of an archive."""

import argparse
import sys

HELP = "take images out of an OCI image layout or a docker archive: a tar, compressed or not, or a folder"


def run(arguments: list) -> int:
    parser = argparse.ArgumentParser("shepherd-runtime load", description=HELP)
    parser.add_argument("source", metavar="FILE", nargs="?", default="-", help="- or nothing is standard input")
    parser.add_argument("name", metavar="NAME[:TAG]", nargs="?", help="what to call the archive's only image")
    parser.add_argument("-i", "--input", metavar="FILE", help="the same as FILE")
    parser.add_argument("--name", dest="called", metavar="NAME[:TAG]", help="what to call the archive's only image")
    parser.add_argument("--no-unpack", action="store_true", help="leave the unpacking to the first container")
    parser.add_argument("-q", "--quiet", action="store_true", help="print ids alone")
    options = parser.parse_args(arguments)

    from shepherd.runtime.errors import RuntimeFailure
    from shepherd.runtime.images import archive, image, layers, reference
    from shepherd.runtime.images.store import Store

    source = options.input or options.source
    if source == "-":
        if sys.stdin.isatty():
            raise RuntimeFailure("standard input is a terminal", "name a file, or send an archive")
        source = sys.stdin.buffer
    called = options.called or options.name
    name = reference.parse(called) if called else None
    store = Store()
    with store.lease() as lease:
        for found, descriptor in archive.load(store, source, lease, name):
            if not options.no_unpack:
                _unpack(store, descriptor, image, layers)
            if options.quiet:
                sys.stdout.write("%s\n" % descriptor.digest)
            elif found is None:
                sys.stdout.write("Loaded image ID: %s\n" % descriptor.digest)
            else:
                sys.stdout.write("Loaded image: %s\n" % found.familiar)
    return 0


def _unpack(store, descriptor, image, layers):
    from shepherd.runtime.errors import RuntimeFailure

    try:
        found = image.read(store, descriptor)
    except RuntimeFailure:
        return  # for another platform, or no image to run: it can be kept and sent on
    layers.ensure(found)
