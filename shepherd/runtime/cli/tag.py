"""`shepherd-runtime tag IMAGE NAME`: give an image another name."""

import argparse

HELP = "give an image another name"


def run(arguments: list) -> int:
    parser = argparse.ArgumentParser("shepherd-runtime tag", description=HELP)
    parser.add_argument("image", metavar="IMAGE", help="its name or id")
    parser.add_argument("name", metavar="NAME[:TAG]")
    options = parser.parse_args(arguments)

    from shepherd.runtime.errors import RuntimeFailure
    from shepherd.runtime.images import image
    from shepherd.runtime.images.names import Names
    from shepherd.runtime.images.reference import parse
    from shepherd.runtime.images.store import Store

    name = parse(options.name)
    if name.digest is not None:
        raise RuntimeFailure("a new name has no digest: %s" % name)
    store = Store()
    Names(store).set(name, image.find_descriptor(store, options.image))
    return 0
