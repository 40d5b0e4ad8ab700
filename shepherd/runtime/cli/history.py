"""`shepherd-runtime history IMAGE`: how an image came to be, the last step first."""

import argparse

HELP = "show how an image was made"

_COLUMNS = [("CREATED", "CreatedSince"), ("CREATED BY", "CreatedBy"), ("SIZE", "Size"), ("COMMENT", "Comment")]
_SHORT = 45


def run(arguments: list) -> int:
    parser = argparse.ArgumentParser("shepherd-runtime history", description=HELP)
    parser.add_argument("image", metavar="IMAGE")
    parser.add_argument("--no-trunc", action="store_true", help="whole commands")
    parser.add_argument("-q", "--quiet", action="store_true", help="digests of the layers alone")
    parser.add_argument("--format", metavar="FORM", help="json, table, or a template like '{{.CreatedBy}}'")
    options = parser.parse_args(arguments)

    from shepherd.runtime.cli import image_output
    from shepherd.runtime.images import image
    from shepherd.runtime.images.store import Store

    found = image.find(Store(), options.image)
    image_output.show(
        list(_rows(found, options.no_trunc)), _COLUMNS, options.format, "Layer" if options.quiet else None
    )
    return 0


def _rows(found, whole):
    from shepherd.runtime.cli import image_output

    layers = iter(found.manifest.layers)
    steps = found.config.history or [{} for _ in found.manifest.layers]
    rows = []
    for step in steps:
        layer = None if step.get("empty_layer") is True else next(layers, None)
        command = " ".join(str(step.get("created_by") or "").split())
        rows.append(
            {
                "CreatedAt": str(step.get("created") or ""),
                "CreatedSince": image_output.age(step.get("created")),
                "CreatedBy": command if whole or len(command) <= _SHORT else command[: _SHORT - 1] + "…",
                "Size": image_output.size(layer.size if layer else 0),
                "Comment": str(step.get("comment") or ""),
                "Layer": str(layer.digest) if layer else "<missing>",
            }
        )
    return reversed(rows)
