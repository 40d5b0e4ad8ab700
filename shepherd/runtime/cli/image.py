"""`shepherd-runtime image VERB`: what has to do with images, under Docker's newer names."""

from shepherd.runtime.cli import several
from shepherd.runtime.errors import RuntimeFailure

HELP = "images: import, ls, rm, pull, push, save, load, tag, history, inspect, prune"

VERBS = {
    "history": "history",
    "import": "load",
    "inspect": "inspect_image",
    "load": "load",
    "ls": "images",
    "list": "images",
    "prune": "prune",
    "pull": "pull",
    "push": "push",
    "rm": "rmi",
    "save": "save",
    "tag": "tag",
}


def run(arguments: list) -> int:
    several.help_of(arguments, "image VERB …")
    if not arguments or arguments[0] not in VERBS:
        raise RuntimeFailure("image needs one of the verbs %s" % ", ".join(sorted(VERBS)))
    from importlib import import_module

    return import_module("shepherd.runtime.cli.%s" % VERBS[arguments[0]]).run(arguments[1:])
