"""`shepherd-runtime push NAME [DESTINATION]`: send an image to a registry."""

import argparse
import sys

from shepherd.runtime.cli import registry_options

HELP = "send an image to a registry"


def run(arguments: list) -> int:
    parser = argparse.ArgumentParser("shepherd-runtime push", description=HELP)
    parser.add_argument("name", metavar="NAME[:TAG]")
    parser.add_argument("destination", metavar="DESTINATION", nargs="?", help="another name to push it as")
    registry_options.add(parser)
    options = parser.parse_args(arguments)

    from shepherd.runtime.images import image, reference
    from shepherd.runtime.images.push import push
    from shepherd.runtime.images.store import Store

    target = reference.parse(options.destination or options.name)
    settings, credentials = registry_options.settings(options), registry_options.credentials(options)
    platform, report = registry_options.platform(options), registry_options.report(options)
    store = Store()
    with store.lease() as lease:
        descriptor = image.find_descriptor(store, options.name)
        lease.add(descriptor.digest)
        pushed = push(store, descriptor, target, settings, credentials, platform, report)
    sys.stdout.write("%s@%s\n" % (target.name, pushed.digest))
    return 0
