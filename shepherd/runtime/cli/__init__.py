"""`shepherd-runtime VERB …`: one file a verb, of which only the one that is asked for is imported."""

import os
import sys

from shepherd.runtime.errors import RuntimeFailure

VERBS = (
    "build", "builder", "history", "image", "images", "install", "load", "network", "pack", "prune", "pull", "push",
    "rmi", "save", "tag",
)  # fmt: skip


def main(argv=None) -> int:
    """Run the command line and return its exit code. Options of all verbs, --root and --state, come before the verb."""
    words = list(sys.argv[1:] if argv is None else argv)
    if _is_for_bundles(words):
        from shepherd.runtime.cli import oci

        return oci.main(words)
    try:
        while words and words[0] in ("--root", "--state"):
            if len(words) < 2:
                raise RuntimeFailure("%s names a folder" % words[0])
            os.environ["SHEPHERD_RUNTIME_" + words[0][2:].upper()] = words[1]
            del words[:2]
        if not words or words[0] not in VERBS:
            raise RuntimeFailure("no such verb" if words else "a verb is missing", "one of: " + ", ".join(VERBS))
        from importlib import import_module

        return import_module("shepherd.runtime.cli.%s" % words[0]).run(words[1:])
    except RuntimeFailure as error:
        sys.stderr.write("shepherd-runtime: %s\n" % error.message)
        if error.hint:
            sys.stderr.write("  %s\n" % error.hint)
        return 1
    except OSError as error:
        sys.stderr.write("shepherd-runtime: %s\n" % error)
        return 1
    except KeyboardInterrupt:
        return 130


def _is_for_bundles(words):
    """Whether the first word that is no option is a verb of the OCI command line, or there is none but --version."""
    for number, word in enumerate(words):
        if not word.startswith("-"):
            if number and words[number - 1] in _WITH_VALUE:
                continue
            return word not in VERBS
        if word in ("--version", "-v", "--help", "-h"):
            return True
    return False


_WITH_VALUE = ("--root", "--state", "--log", "--log-format", "--rootless", "--criu")
