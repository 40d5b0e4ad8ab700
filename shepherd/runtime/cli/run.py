"""`shepherd-runtime run [OPTIONS] IMAGE [COMMAND…]`: make a container and start it."""

import os
import sys

from shepherd.runtime.cli import run_options
from shepherd.runtime.containers import aside, launch
from shepherd.runtime.containers import record as records
from shepherd.runtime.containers.folders import Folders
from shepherd.runtime.errors import RuntimeFailure

HELP = "make a container and start it"
USAGE = "run [OPTIONS] IMAGE [COMMAND…]"


def run(arguments: list) -> int:
    """The exit code is the program's; 125 where the container could not be made, 126 and 127 as a shell has them."""
    try:
        options = run_options.read(arguments, USAGE)
        record = make(options, launch.warm)
    except (RuntimeFailure, OSError) as error:
        return failed(error, 125)
    try:
        if options.detach:
            launch.begin(record).close()
            sys.stdout.write(record.id + "\n")
            return 0
        from shepherd.runtime.cli import attached

        proxy = options.sig_proxy or not any(word.startswith("--sig-proxy") for word in arguments)
        return attached.run(record, options.interactive, attached.only(options.attach), proxy)
    except launch.StartFailure as error:
        return failed(error, error.code)
    except (RuntimeFailure, OSError) as error:
        return failed(error, 125)


def failed(error, code: int) -> int:
    """Say what went wrong."""
    sys.stderr.write("shepherd-runtime: %s\n" % (error.message if isinstance(error, RuntimeFailure) else error))
    if isinstance(error, RuntimeFailure) and error.hint:
        sys.stderr.write("  %s\n" % error.hint)
    return code


def make(options, meanwhile=None):
    """The Record of a new container, for `create` too.

    It is made by a process that ends: what it takes to read images is not for a monitor to keep in memory. This one
    calls `meanwhile()` while it waits.
    """
    asked = run_options.request(options)
    if options.cidfile and os.path.exists(options.cidfile):
        raise RuntimeFailure("--cidfile %s: is there already" % options.cidfile, "another container's, perhaps")
    folders = Folders()
    identity = aside.done(lambda: _create(folders, asked, options), meanwhile)
    record = records.read(folders, identity)
    if options.cidfile:
        descriptor = os.open(options.cidfile, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o644)
        with open(descriptor, "w") as file:
            file.write(record.id)
    return record


def _create(folders, asked, options):
    from shepherd.runtime.containers.create import create
    from shepherd.runtime.images.store import Store

    store = Store(folders.root)
    with store.lease() as lease:
        image = find_image(store, lease, asked.image, options)
        return create(folders, asked, image).id


def find_image(store, lease, name, options):
    """The image, pulled where --pull says so, and leased."""
    from shepherd.runtime.images import image as images
    from shepherd.runtime.images.manifest import Platform

    when = options.pull or "missing"
    if when not in ("missing", "always", "never"):
        raise RuntimeFailure("--pull: should be missing, always or never, and is %.40r" % when)
    platform = Platform.parse(options.platform) if options.platform else None
    if when != "always":
        try:
            found = images.find(store, name, platform)
            lease.add(found.descriptor.digest, found.manifest_descriptor.digest)
            return found
        except RuntimeFailure as error:
            if when == "never" or not error.message.startswith("no such image"):
                raise
    return _pull(store, lease, name, platform, images)


def _pull(store, lease, name, platform, images):
    from shepherd.runtime.cli.pull import fetch
    from shepherd.runtime.images import reference

    try:
        wanted = reference.parse(name)
    except RuntimeFailure:
        raise RuntimeFailure("no such image: %s" % reference.shown(name).strip("'"), "see: shepherd-runtime images")
    sys.stderr.write("Unable to find image '%s' locally\n" % wanted.familiar)
    descriptor = fetch(store, wanted, lease, platform)
    found = images.read(store, descriptor, platform)
    lease.add(found.descriptor.digest, found.manifest_descriptor.digest)
    return found
