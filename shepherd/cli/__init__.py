"""The command line: `shepherd VERB`. One file a verb, and only that file is imported."""

from __future__ import annotations

import argparse
import importlib
import os
import sys

from shepherd import __version__

VERBS = {
    "play": "play playbooks on the hosts of an inventory",
    "run": "run one module on hosts, ad hoc",
    "inventory": "show what an inventory says",
    "doc": "show what modules do and take",
    "lab": "local SSH hosts to try things on",
}


def main(argv: list[str] | None = None) -> int:
    """Run the command; the exit code. Errors of the user's go to standard error, never as a traceback."""
    arguments = sys.argv[1:] if argv is None else argv
    verb = next((word for word in arguments if not word.startswith("-")), None)
    parser = argparse.ArgumentParser(prog="shepherd", description="Bring machines to a declared state over SSH.")
    parser.add_argument("--version", action="version", version=f"shepherd {__version__}")
    subparsers = parser.add_subparsers(metavar="VERB", title="verbs")
    for name, summary in VERBS.items():
        if name == verb:
            importlib.import_module(f"shepherd.cli.{name}").add_parser(subparsers)
        else:
            subparsers.add_parser(name, help=summary, add_help=False)
    options, rest = parser.parse_known_args(arguments)
    unknown = [word for word in rest if word.startswith("-")] if hasattr(options, "words") else rest
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    if rest:  # argparse does not take positional words that stand behind options
        options.words += rest
    if not hasattr(options, "main"):
        parser.print_help()
        return 0 if verb is None and not arguments else 2
    return _guarded(options)


def _guarded(options: argparse.Namespace) -> int:
    from shepherd.errors import ShepherdError

    try:
        code: int = options.main(options)
        sys.stdout.flush()
    except ShepherdError as error:
        print(f"ERROR! {error.render()}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 99
    except BrokenPipeError:  # `shepherd … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # a bug of ours: said as such, with the traceback where asked for
        print(f"ERROR! a bug in shepherd: {type(error).__name__}: {error}", file=sys.stderr)
        if getattr(options, "verbose", 0) >= 1 or "SHEPHERD_DEBUG" in os.environ:
            raise
        print("  hint: run it again with -v to see where, and please report it", file=sys.stderr)
        return 250
    return code
