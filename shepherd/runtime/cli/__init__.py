"""`shepherd-runtime VERB …`: one file a verb, of which only the one that is asked for is imported.

Verbs are Docker's. Some of them are also verbs of the OCI command line, which works on bundles (cli/oci): which of the
two is meant is told by what is there, see `bundles.py`.
"""

import os
import sys

from shepherd.runtime.errors import RuntimeFailure

VERBS = (
    "attach", "boot", "build", "builder", "commit", "container", "cp", "create", "diff", "events", "exec", "export",
    "front", "history", "image", "images", "inspect", "install", "kill", "load", "logs", "network", "pack", "pause",
    "port", "prune", "ps", "pull", "push", "rename", "restart", "rm", "rmi", "run", "save", "start", "stats", "stop",
    "tag", "top", "unpause", "unshare", "update", "volume", "wait",
)  # fmt: skip


def main(argv=None) -> int:
    """Run the command line and return its exit code. Options of all verbs, --root and --state, come before the verb."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["help"] and len(words) > 1:
        words = [*words[1:], "--help"]
    ordinary = os.geteuid() != 0
    if ordinary:
        from shepherd.runtime.rootless import places

        places.choose()
    from shepherd.runtime.cli import bundles

    if bundles.are_meant(words, VERBS):
        from shepherd.runtime.cli import oci

        return oci.main(words)
    try:
        while words and words[0].partition("=")[0] in ("--root", "--state"):
            option, equals, value = words[0].partition("=")
            if not equals and len(words) < 2:
                raise RuntimeFailure("%s names a folder" % option)
            os.environ["SHEPHERD_RUNTIME_" + option[2:].upper()] = value if equals else words[1]
            del words[: 1 if equals else 2]
        if not words or words[0] not in VERBS:
            from shepherd.runtime.cli import help as helping

            return helping.show(words, VERBS)
        verb = words[0]
        if ordinary and argv is None:
            from shepherd.runtime.rootless import entering

            entering.enter(words)
        module = __import__("shepherd.runtime.cli." + verb, None, None, ["run"])
        return module.run(words[1:])
    except RuntimeFailure as error:
        sys.stderr.write("shepherd-runtime: %s\n" % error.message)
        if error.hint:
            sys.stderr.write("  %s\n" % error.hint)
        return getattr(error, "code", 1)
    except BrokenPipeError:
        return 1  # who read it has had enough
    except OSError as error:
        sys.stderr.write("shepherd-runtime: %s\n" % error)
        return 1
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # the text that --help asked for
        if type(error).__name__ != "Help":
            raise
        from shepherd.runtime.cli import help as helping

        sys.stdout.write(helping.described(str(error), words))
        return 0
