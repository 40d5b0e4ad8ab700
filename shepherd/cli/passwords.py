"""Passwords: typed at the terminal, or read from a file that may be a program."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from shepherd.errors import ShepherdError

if TYPE_CHECKING:
    import argparse

    from shepherd.report.events import Emit
    from shepherd.transport import Secret

SSH, BECOME = "SSH password: ", "BECOME password: "
BECOME_TOO = "BECOME password[defaults to SSH password]: "
TIMEOUT = 60  # seconds for a program that knows a password


def add_arguments(connection: argparse._ArgumentGroup, become: argparse._ArgumentGroup) -> None:
    """-k and -K, and the files to be read instead."""
    asked = connection.add_mutually_exclusive_group()
    asked.add_argument("-k", "--ask-pass", action="store_true", help="ask for the password to log in with")
    asked.add_argument(
        "--connection-password-file",
        "--conn-pass-file",
        metavar="FILE",
        help="read it from a file, program or - (stdin)",
    )
    asked = become.add_mutually_exclusive_group()
    asked.add_argument("-K", "--ask-become-pass", action="store_true", help="ask for the password for that")
    asked.add_argument(
        "--become-password-file", "--become-pass-file", metavar="FILE", help="read it from a file, program or - (stdin)"
    )


def passwords(options: argparse.Namespace) -> tuple[Secret | None, Secret | None]:
    """To log in, and to become another user."""
    login = _one(options.ask_pass, SSH, options.connection_password_file)
    become = _one(options.ask_become_pass, BECOME_TOO if options.ask_pass else BECOME, options.become_password_file)
    if options.ask_become_pass and options.ask_pass and become == "":
        become = login
    return login, become


def ask_for_passphrases(emit: Emit) -> None:
    """From now on, and where there is a terminal, the person is asked for the passphrase of a key that is needed.

    Called in the event loop, which asks for the threads that log in; so Ctrl-C ends the question, too.
    """
    if not sys.stdin.isatty():
        return
    import asyncio

    from shepherd.engine.asking import ask
    from shepherd.transport import Secret, keys

    loop = asyncio.get_running_loop()

    def ask_passphrase(path: str) -> Secret:
        asked = ask(emit, f"Passphrase of the private key {path}: ", echo=False)
        return Secret(asyncio.run_coroutine_threadsafe(asked, loop).result())

    keys.ask_passphrase = ask_passphrase


def _one(ask: bool, prompt: str, file: str | None) -> Secret | None:
    from shepherd.transport import Secret

    if ask:
        import getpass

        return Secret(getpass.getpass(prompt))
    if file is None:
        return None
    text = sys.stdin.read() if file == "-" else _program(file) if os.access(file, os.X_OK) else _file(file)
    found = text.strip("\r\n")
    if not found:
        raise ShepherdError(f"the password file {file} is empty")
    return Secret(found)


def _file(path: str) -> str:
    try:
        with open(os.path.expanduser(path), encoding="utf-8") as handle:
            return handle.read()
    except OSError as error:
        raise ShepherdError(f"cannot read the password file {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ShepherdError(f"cannot read the password file {path}: not UTF-8 text") from None


def _program(path: str) -> str:
    import subprocess

    try:
        done = subprocess.run([os.path.abspath(path)], stdout=subprocess.PIPE, timeout=TIMEOUT, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ShepherdError(f"cannot run the password program {path}: {error}") from None
    if done.returncode:
        raise ShepherdError(f"the password program {path} ended with status {done.returncode}")
    return done.stdout.decode("utf-8", "surrogateescape")
