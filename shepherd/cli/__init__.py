"""The command line: `shepherd VERB`. One file a verb, and only that file is imported."""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import sys
from typing import TYPE_CHECKING, NoReturn

from shepherd import __version__

if TYPE_CHECKING:
    import argparse

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)  # what a file that is written to may say
VERBS = {
    "play": "play playbooks on the hosts of an inventory",
    "run": "run one module on hosts, ad hoc",
    "ps": "list the containers on hosts",
    "logs": "show what containers on hosts say",
    "exec": "run a command in containers on hosts",
    "stats": "show what containers on hosts use",
    "top": "show the processes of containers on hosts",
    "inventory": "show what an inventory says",
    "doc": "show what modules do and take",
    "lab": "local SSH hosts to try things on",
}
COMMAND_BEHIND = ("exec",)  # verbs where a command stands behind `--`, with options of its own


def command() -> NoReturn:
    """The program `shepherd`: `main`, and an end without taking the interpreter apart, which takes up to 0.15 s."""
    code = main()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # closed, or nobody reads it any more
            stream.flush()
    os._exit(code)


def main(argv: list[str] | None = None) -> int:
    """Run the command; the exit code. Errors of the user's go to standard error, never as a traceback."""
    from shepherd.cli.parser import Parser

    arguments = sys.argv[1:] if argv is None else argv
    _open_what_is_closed()
    _write_anything()
    verb = next((word for word in arguments if not word.startswith("-")), None)
    parser = Parser(prog="shepherd", description="Bring machines to a declared state over SSH.")
    parser.verbs = VERBS
    parser.add_argument("--version", action="version", version=f"shepherd {__version__}")
    subparsers = parser.add_subparsers(metavar="VERB", title="verbs")
    for name, summary in VERBS.items():
        if name == verb:
            importlib.import_module(f"shepherd.cli.{name}").add_parser(subparsers)
            subparsers.choices[name].add_argument("--version", action="version", version=f"shepherd {__version__}")
        else:
            subparsers.add_parser(name, help=summary, add_help=False)
    behind: list[str] = []
    if verb in COMMAND_BEHIND and "--" in arguments:
        place = arguments.index("--")
        arguments, behind = arguments[:place], arguments[place + 1 :]
    options, rest = parser.parse_known_args(arguments)
    options.behind = behind
    used = subparsers.choices.get(verb, parser) if verb else parser
    unknown = [word for word in rest if word.startswith("-")] if hasattr(options, "words") else rest
    if unknown:
        used.unknown(unknown)
    if rest:  # argparse does not take positional words that stand behind options
        options.words += rest
    if not hasattr(options, "main"):
        parser.print_help()
        return 0 if verb is None and not arguments else 2
    return _guarded(options)


def _open_what_is_closed() -> None:
    """A standard stream that is closed (`>&-`) is one that leads nowhere; nothing else may get its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115  # for as long as the command lives


def _write_anything() -> None:
    """Names and texts go out in the terminal's encoding where that has them, else as escapes."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _guarded(options: argparse.Namespace) -> int:
    from shepherd.errors import ShepherdError

    try:
        code: int = options.main(options)
        sys.stdout.flush()
    except ShepherdError as error:
        _say(f"ERROR! {error.render()}")
        return error.exit_code
    except KeyboardInterrupt:
        _say("ERROR! interrupted")
        return 99
    except BrokenPipeError:  # `shepherd … | head`
        _drop_output()
        return 0
    except Exception as error:  # noqa: BLE001  # whatever it is, nobody else would say it
        if isinstance(error, OSError) and error.errno in FULL and error.filename is None:
            _drop_output()
            _say(f"ERROR! the output cannot be written: {error.strerror}")
            return 1
        return _bug(error, options)
    return code


def _bug(error: Exception, options: argparse.Namespace) -> int:
    """One of ours: said as such, with the traceback where asked for."""
    _say(f"ERROR! a bug in shepherd: {type(error).__name__}: {error}")
    if getattr(options, "verbose", 0) >= 1 or "SHEPHERD_DEBUG" in os.environ:
        import traceback

        traceback.print_exception(error)
    else:
        _say("  hint: run it again with -v to see where, and please report it")
    return 250


def _drop_output() -> None:
    """What could not be written is not tried again at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(text: str) -> None:
    from shepherd.origin import printable

    sys.stdout.flush()  # what was said before stands before
    print(printable(text), file=sys.stderr)
