"""`shepherd-runtime --help` and `help [VERB]`: the verbs, by what they work on. And words that are none."""

import sys

from shepherd.runtime.errors import RuntimeFailure, nearest

GROUPS = (
    ("Containers", ("run", "create", "start", "stop", "restart", "kill", "wait", "rm", "rename", "update", "pause",
                    "unpause", "container")),
    ("Looking at them", ("ps", "logs", "inspect", "top", "stats", "events", "port", "diff")),
    ("Working in them", ("exec", "attach", "cp", "export", "commit")),
    ("Images", ("images", "build", "builder", "pull", "push", "load", "save", "tag", "rmi", "history", "prune",
                "image")),
    ("What they share", ("network", "volume", "front")),
    ("This machine", ("boot", "install", "pack", "unshare")),
)  # fmt: skip
_OPTIONS = ("--help", "-h")
_ASKED = ("help", *_OPTIONS)


def show(words: list, verbs) -> int:
    """All verbs, where the words ask for them. Raises RuntimeFailure where they only begin with none of `verbs`."""
    if not words or words[0] not in _ASKED:
        raise none_such(words, verbs)
    sys.stdout.write(_all())
    return 0


def none_such(words: list, verbs) -> RuntimeFailure:
    """What is wrong with a command line that begins with none of those verbs."""
    hint = "shepherd-runtime --help lists them"
    if not words:
        return RuntimeFailure("a verb is missing", hint)
    if words[0].startswith("-"):
        return RuntimeFailure("%.60s: no option that can be before a verb" % words[0], hint)
    from shepherd.runtime.cli import oci

    near = nearest(words[0], {*verbs, *oci.VERBS})
    return RuntimeFailure("there is no verb %.60r%s" % (words[0], "; " + near if near else ""), hint)


def described(text: str, words: list) -> str:
    """The help that a verb gave of itself, with what it is for where that was the first that those words ask."""
    usage, _, options = text.partition("\n")
    parts = [usage, _about(words[0]) if words[1:2] and words[1] in _OPTIONS else "", options]
    return "\n\n".join(part for part in parts if part) + "\n"


def _all():
    lines = ["usage: shepherd-runtime [--root FOLDER] [--state FOLDER] VERB …"]
    for title, verbs in GROUPS:
        lines += ["", title + ":"]
        lines += ["  %-10s %s" % (verb, _about(verb)) for verb in verbs]
    from shepherd.runtime.cli import oci

    lines += ["", "Bundles of the OCI runtime specification, with the options of runc:", "  " + ", ".join(oci.VERBS)]
    lines += ["", "shepherd-runtime VERB --help shows a verb's options.", ""]
    return "\n".join(lines)


def _about(verb):
    return __import__("shepherd.runtime.cli." + verb, None, None, ["HELP"]).HELP
