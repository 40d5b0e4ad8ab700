"""`shepherd-runtime image inspect IMAGE…`: what is known about images, in Docker's words."""

import argparse
import json
import sys

HELP = "show all that is known about images"


def run(arguments: list) -> int:
    parser = argparse.ArgumentParser("shepherd-runtime image inspect", description=HELP)
    parser.add_argument("images", metavar="IMAGE", nargs="+")
    parser.add_argument("-f", "--format", metavar="FORM", help="a template like '{{.Id}}' or '{{json .Config}}'")
    parser.add_argument("--platform", metavar="OS/ARCHITECTURE", help="of an image for more than one")
    options = parser.parse_args(arguments)

    from shepherd.runtime.cli import image_output
    from shepherd.runtime.images import image
    from shepherd.runtime.images.manifest import Platform
    from shepherd.runtime.images.store import Store

    platform = Platform.parse(options.platform) if options.platform else None
    store = Store()
    found = [describe(store, image.find(store, text, platform)) for text in options.images]
    if options.format and options.format != "json":
        for one in found:
            sys.stdout.write(image_output.fill(options.format, one) + "\n")
    else:
        sys.stdout.write(json.dumps(found, indent=4) + "\n")
    return 0


def describe(store, found) -> dict:
    """The fields of `docker image inspect` that have a meaning here."""
    from shepherd.runtime.images.names import Names

    names = Names(store).of(found.descriptor.digest)
    document = found.config.document
    return {
        "Id": str(found.id),
        "RepoTags": [name.familiar for name in names if name.tag and not name.digest],
        "RepoDigests": sorted({name.with_digest(found.descriptor.digest).familiar for name in names}),
        "Comment": document.get("comment", ""),
        "Created": document.get("created", ""),
        "Author": document.get("author", ""),
        "Config": found.config.settings,
        "Architecture": found.config.platform.architecture,
        "Variant": document.get("variant", ""),
        "Os": found.config.platform.system,
        "Size": found.size,
        "RootFS": {"Type": "layers", "Layers": [str(one) for one in found.config.diff_ids]},
        "Descriptor": found.descriptor.as_json(),
        "Manifest": found.manifest_descriptor.as_json(),
    }
