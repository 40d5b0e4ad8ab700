"""`shepherd-runtime save IMAGE…`: write images into an archive."""

import argparse
import os
import sys

HELP = "write images into an archive that is an OCI image layout and a docker archive at once"

_SUFFIXES = {".gz": "gzip", ".tgz": "gzip", ".zst": "zstd"}


def run(arguments: list) -> int:
    parser = argparse.ArgumentParser("shepherd-runtime save", description=HELP)
    parser.add_argument("images", metavar="IMAGE", nargs="+")
    parser.add_argument("-o", "--output", metavar="FILE", help="compressed where it ends in .gz or .zst")
    parser.add_argument("--format", choices=("both", "oci", "docker", "oci-dir"), default="both",
                        help="docker: layers not compressed, for older programs; oci-dir: a folder")  # fmt: skip
    parser.add_argument("--platform", metavar="OS/ARCHITECTURE", help="of an image for more than one")
    options = parser.parse_args(arguments)

    from shepherd.runtime.errors import RuntimeFailure
    from shepherd.runtime.images import export, image, reference
    from shepherd.runtime.images.manifest import Platform
    from shepherd.runtime.images.names import Names
    from shepherd.runtime.images.store import Store

    platform = Platform.parse(options.platform) if options.platform else None
    store = Store()
    with store.lease() as lease:
        found = []
        for text in options.images:
            one = image.find(store, text, platform)
            lease.add(one.manifest_descriptor.digest)
            names = Names(store).of(one.descriptor.digest)
            try:
                name = reference.parse(text)
            except RuntimeFailure:
                name = None
            found += [(called, one) for called in ([name] if name in names else names or [None])]
        if options.format == "oci-dir":
            if not options.output:
                raise RuntimeFailure("a folder is written to --output")
            export.save_folder(store, found, options.output)
        elif options.output:
            _write(store, found, options.output, options.format)
        elif sys.stdout.isatty():
            raise RuntimeFailure("standard output is a terminal", "name a file with --output, or use a pipe")
        else:
            export.save(store, found, sys.stdout.buffer, options.format)
            sys.stdout.buffer.flush()
    return 0


def _write(store, found, path, form):
    """Beside its place first, so that an archive is whole or not there."""
    from shepherd.runtime.images import compression, export

    beside = "%s.%s" % (path, os.urandom(6).hex())
    kind = _SUFFIXES.get(os.path.splitext(path)[1], "plain")
    try:
        with open(beside, "xb") as file:
            packed = compression.compressor(kind, file)
            export.save(store, found, packed, form)
            packed.close()
            file.flush()
            os.fsync(file.fileno())
        os.rename(beside, path)
    except BaseException:
        if os.path.exists(beside):
            os.unlink(beside)
        raise
