"""`shepherd-runtime volume create|ls|inspect|rm|prune`"""

import json
import sys

from shepherd.runtime.cli import run_options, several
from shepherd.runtime.errors import RuntimeFailure

HELP = "volumes: create, ls, inspect, rm, prune"


def run(arguments: list) -> int:
    """The verb's."""
    several.help_of(arguments, "volume VERB …")
    word = arguments[0] if arguments else ""
    if word not in _VERBS:
        raise RuntimeFailure("volume needs one of the verbs create, inspect, ls, prune, rm")
    from shepherd.runtime.containers.folders import Folders

    folders = Folders()
    folders.make()
    return _VERBS[word](folders, arguments[1:])


def _create(folders, arguments):
    from shepherd.runtime.volumes import volume

    table = {
        "--label": ("labels", list), "--driver": ("driver", str), "-d": ("driver", str), "--opt": ("options", list),
        "-o": ("options", list), "--name": ("name", str),
    }  # fmt: skip
    options = several.parse(arguments, table, "volume create [--label NAME=VALUE] [NAME]", 0, 1)
    if options.driver not in (None, "local"):
        raise RuntimeFailure("--driver: there is local, and no %.60r" % options.driver)
    name = options.rest[0] if options.rest else options.name
    with folders.lock():
        made = volume.create(folders.root, name, run_options.labels(options.labels), options.options)
    sys.stdout.write(made.name + "\n")
    return 0


def _list(folders, arguments):
    from shepherd.runtime.cli import table
    from shepherd.runtime.cli.container import has_label
    from shepherd.runtime.containers.removal import users
    from shepherd.runtime.volumes import volume

    known = {
        "--filter": ("filters", list), "-f": ("filters", list), "--format": ("format", str),
        "--quiet": ("quiet", bool), "-q": ("quiet", bool),
    }  # fmt: skip
    options = several.parse(arguments, known, "volume ls [--filter NAME=VALUE] [--format FORM] [--quiet]", 0, 0)
    found = volume.everything(folders.root)
    for text in options.filters:
        name, _, value = text.partition("=")
        if name == "name":
            found = [one for one in found if value in one.name]
        elif name == "label":
            found = [one for one in found if has_label(one.about, value)]
        elif name == "dangling":
            used = users(folders)
            found = [one for one in found if (one.name not in used) == (value in ("true", "1"))]
        elif name != "driver":
            raise RuntimeFailure("--filter: there are name, label and dangling, and no %.60r" % text)
    rows = [
        {"Driver": "local", "Name": one.name, "Mountpoint": one.data, "Scope": "local",
         "Labels": ",".join("%s=%s" % pair for pair in sorted((one.about.get("Labels") or {}).items()))}
        for one in found
    ]  # fmt: skip
    table.show(rows, [("DRIVER", "Driver"), ("VOLUME NAME", "Name")], options.format, "Name" if options.quiet else None)
    return 0


def _inspect(folders, arguments):
    from shepherd.runtime.cli import table
    from shepherd.runtime.volumes import volume

    options = several.parse(arguments, {"--format": ("format", str), "-f": ("format", str)}, "volume inspect NAME…")
    found = [volume.find(folders.root, name).shown() for name in options.rest]
    if options.format and options.format != "json":
        for one in found:
            sys.stdout.write(table.field(options.format, one) + "\n")
    else:
        sys.stdout.write(json.dumps(found, indent=4) + "\n")
    return 0


def _remove(folders, arguments):
    from shepherd.runtime.containers.removal import users
    from shepherd.runtime.volumes import volume

    options = several.parse(arguments, {"--force": ("force", bool), "-f": ("force", bool)}, "volume rm [--force] NAME…")
    failed = 0
    for name in options.rest:
        try:
            with folders.lock():
                if options.force and volume.is_name(name) and volume.look(folders.root, name) is None:
                    continue
                volume.remove(folders.root, name, users(folders).get(name))
            sys.stdout.write(name + "\n")
        except RuntimeFailure as error:
            failed = 1
            sys.stderr.write("shepherd-runtime: %s\n" % error.message)
    return failed


def _prune(folders, arguments):
    """Anonymous ones that no container has; with --all, named ones too."""
    from shepherd.runtime.cli.container import agreed, has_label
    from shepherd.runtime.containers.removal import users
    from shepherd.runtime.volumes import volume

    table = {"--all": ("all", bool), "-a": ("all", bool), "--force": ("force", bool), "-f": ("force", bool),
             "--filter": ("filters", list)}  # fmt: skip
    options = several.parse(arguments, table, "volume prune [--all] [--force] [--filter label=NAME]", 0, 0)
    if not options.force and sys.stdin.isatty() and not agreed("volumes that no container has"):
        return 1
    labels = []
    for text in options.filters:
        name, _, value = text.partition("=")
        if name not in ("label", "label!"):
            raise RuntimeFailure("--filter: there is label, and no %.60r" % text)
        labels.append((name == "label", value))
    volume.sweep(folders.root)
    with folders.lock():
        used = users(folders)
        for one in volume.everything(folders.root):
            wanted = all(has_label(one.about, value) == right for right, value in labels)
            if one.name not in used and wanted and (options.all or one.about.get("Anonymous")):
                volume.remove(folders.root, one.name, ())
                sys.stdout.write(one.name + "\n")
    return 0


_VERBS = {
    "create": _create,
    "inspect": _inspect,
    "list": _list,
    "ls": _list,
    "prune": _prune,
    "remove": _remove,
    "rm": _remove,
}
