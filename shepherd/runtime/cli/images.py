"""`shepherd-runtime images [NAME]`: the images that are here."""

import argparse

HELP = "list images"

_COLUMNS = [("REPOSITORY", "Repository"), ("TAG", "Tag"), ("IMAGE ID", "ID"), ("CREATED", "CreatedSince"),
            ("SIZE", "Size")]  # fmt: skip


def run(arguments: list) -> int:
    parser = argparse.ArgumentParser("shepherd-runtime images", description=HELP)
    parser.add_argument("name", metavar="NAME[:TAG]", nargs="?", help="only images of this name")
    parser.add_argument("-a", "--all", action="store_true", help="no difference here: no image is intermediate")
    parser.add_argument("-q", "--quiet", action="store_true", help="ids alone")
    parser.add_argument(
        "-f",
        "--filter",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="only images with dangling=true, label=…, reference=PATTERN, before=, since=IMAGE, until=TIME",
    )
    parser.add_argument("--no-trunc", action="store_true", help="whole ids")
    parser.add_argument("--digests", action="store_true", help="show digests too")
    parser.add_argument("--format", metavar="FORM", help="json, table, or a template like '{{.Repository}}:{{.Tag}}'")
    options = parser.parse_args(arguments)

    from shepherd.runtime.cli import image_filters, image_output
    from shepherd.runtime.images.reference import parse
    from shepherd.runtime.images.store import Store

    store = Store()
    wanted = parse(options.name) if options.name else None
    chosen = image_filters.read(store, options.filter)
    rows = list(_rows(store, wanted, options.name, chosen, options.no_trunc))
    columns = list(_COLUMNS)
    if options.digests:
        columns.insert(2, ("DIGEST", "Digest"))
    image_output.show(rows, columns, options.format, "ID" if options.quiet else None)
    return 0


def _rows(store, wanted, text, chosen, whole):
    """Fields as `docker images --format json` has them; the newest name first."""
    from shepherd.runtime.cli import image_output
    from shepherd.runtime.errors import RuntimeFailure
    from shepherd.runtime.images import image
    from shepherd.runtime.images.names import Names

    for name, descriptor in reversed(Names(store).all()):
        if wanted is not None:
            tagged = ":" in text.rpartition("/")[2] or "@" in text
            if name is None or (name != wanted if tagged else name.name != wanted.name):
                continue
        try:
            found = image.read(store, descriptor)
            identity, config, size = found.id, found.config.document, found.size
        except RuntimeFailure:
            identity, config, size = descriptor.digest, None, descriptor.size  # another platform's, or an artifact
        if not chosen(name, config):
            continue
        created = config.get("created") if config else None
        repository = name.familiar.partition("@")[0] if name is not None else "<none>"
        if name is not None and name.tag:
            repository = repository[: -len(name.tag) - 1]
        yield {
            "Repository": repository,
            "Tag": (name.tag if name is not None else None) or "<none>",
            "ID": str(identity) if whole else identity.hex[:12],
            "Digest": str(descriptor.digest),
            "CreatedAt": str(created or ""),
            "CreatedSince": image_output.age(created),
            "Size": image_output.size(size),
        }
