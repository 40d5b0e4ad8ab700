"""`shepherd-runtime container VERB …`: Docker's newer names for verbs of containers, and `container prune`."""

import sys

from shepherd.runtime.cli import several
from shepherd.runtime.errors import RuntimeFailure

HELP = "containers: ls, inspect, prune, and all their other verbs"
_SAME = ("attach", "commit", "cp", "create", "diff", "exec", "export", "inspect", "kill", "logs", "pause", "rename",
         "restart", "rm", "run", "start", "stats", "stop", "top", "unpause", "update", "wait")  # fmt: skip
_OTHER = {"ls": "ps", "list": "ps", "ps": "ps", "remove": "rm"}
TABLE = {"--force": ("force", bool), "-f": ("force", bool), "--filter": ("filters", list)}


def run(arguments: list) -> int:
    """The verb's."""
    several.help_of(arguments, "container VERB …")
    word = arguments[0] if arguments else ""
    if word == "prune":
        return _prune(several.parse(arguments[1:], TABLE, "container prune [--force] [--filter NAME=VALUE]", 0, 0))
    if word not in _SAME and word not in _OTHER:
        raise RuntimeFailure("container needs one of the verbs " + ", ".join(sorted((*_SAME, "ls", "prune"))))
    module = __import__("shepherd.runtime.cli." + _OTHER.get(word, word), None, None, ["run"])
    return module.run(arguments[1:])


def _prune(options):
    """Take away all that do not run."""
    from shepherd.runtime.containers import changes, clock, recovery, removal
    from shepherd.runtime.containers import record as records
    from shepherd.runtime.containers.folders import Folders

    if not options.force and sys.stdin.isatty() and not agreed("all containers that do not run"):
        return 1
    tests = []
    for text in options.filters:
        name, _, value = text.partition("=")
        if name == "until":
            before = clock.stamp(clock.moment(value, "--filter until"))
            tests.append(lambda one, before=before: one.config["Created"] < before)
        elif name in ("label", "label!"):
            tests.append(
                lambda one, name=name, value=value: has_label(one.config["Config"], value) == (name == "label")
            )
        else:
            raise RuntimeFailure("--filter: there are until and label, and no %.60r" % text)
    folders, freed = Folders(), 0
    for one in records.everything(folders):
        recovery.look_after(one)
        # one whose monitor is about to end is waited for; one that is being started meanwhile is left
        if one.state()["Status"] in records.ALIVE or not all(test(one) for test in tests):
            continue
        try:
            size = changes.written(one)
            removal.remove(one)
        except RuntimeFailure:
            continue  # started, or removed, meanwhile
        freed += size
        sys.stdout.write(one.id + "\n")
    removal.sweep(folders)
    from shepherd.runtime.cli.image_output import size as human

    sys.stdout.write("Total reclaimed space: %s\n" % human(freed))
    return 0


def has_label(config: dict, text: str) -> bool:
    """Whether it has the label NAME, or NAME=VALUE."""
    name, equals, wanted = text.partition("=")
    labels = config.get("Labels")
    return isinstance(labels, dict) and name in labels and (not equals or labels[name] == wanted)


def agreed(what: str) -> bool:
    """Whether the person says yes."""
    sys.stderr.write("This removes %s. Go on? [y/N] " % what)
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
