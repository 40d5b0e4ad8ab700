"""`shepherd-runtime pull NAME…`: fetch images from registries."""

import argparse
import sys

from shepherd.runtime.cli import registry_options

HELP = "fetch images from registries"


def run(arguments: list) -> int:
    parser = argparse.ArgumentParser("shepherd-runtime pull", description=HELP)
    parser.add_argument("names", metavar="NAME[:TAG|@DIGEST]", nargs="+")
    parser.add_argument("--no-unpack", action="store_true", help="leave the unpacking to the first container")
    registry_options.add(parser)
    options = parser.parse_args(arguments)

    from shepherd.runtime.images import image, layers, reference
    from shepherd.runtime.images.pull import pull
    from shepherd.runtime.images.store import Store

    wanted = [reference.parse(name) for name in options.names]
    settings, credentials = registry_options.settings(options), registry_options.credentials(options)
    platform, report = registry_options.platform(options), registry_options.report(options)
    store = Store()
    for name in wanted:
        with store.lease() as lease:
            descriptor = pull(store, name, settings, lease, credentials, platform, report)
            if not options.no_unpack:
                layers.ensure(image.read(store, descriptor, platform))
        sys.stdout.write("%s@%s\n" % (name.name, descriptor.digest))
    return 0


def fetch(store, name, lease, platform=None):
    """The Descriptor of an image that a container needs, from its registry, with the defaults of the options."""
    from shepherd.runtime.images.pull import pull

    parser = argparse.ArgumentParser()
    registry_options.add(parser)
    options = parser.parse_args([])
    settings, credentials = registry_options.settings(options), registry_options.credentials(options)
    return pull(store, name, settings, lease, credentials, platform, registry_options.report(options))
