"""Lookups that ask a program or a web server."""

from __future__ import annotations

import subprocess
import threading
from typing import TYPE_CHECKING, Any

from shepherd.errors import TemplateError
from shepherd.templating.turns import apart

if TYPE_CHECKING:
    from shepherd.templating.lookups import Lookup
    from shepherd.templating.lookups.asking import Asking


class Program:
    """A shell's command line, which may be ended by another thread at any moment: also while it is being started."""

    def __init__(self, line: str, home: str) -> None:
        self._line = line
        self._home = home
        self._starting = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._unwanted = False

    def run(self) -> tuple[bytes, bytes, int]:
        """What it writes, its errors, and its exit status."""
        with self._starting:
            if self._unwanted:
                return b"", b"", 0
            self._process = process = subprocess.Popen(  # noqa: S602  # the playbook's author writes it for the shell
                self._line,
                shell=True,
                cwd=self._home,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        with process:
            try:
                return (*process.communicate(), process.returncode)
            except BaseException:
                process.kill()
                raise

    def stop(self) -> None:
        """End it. Nobody waits for what it wrote."""
        with self._starting:
            self._unwanted = True
        if self._process is not None:
            self._process.kill()


def _output(command: Any, asking: Asking) -> str:
    program = Program(str(command), asking.home)
    output, errors, status = apart(program.run, program.stop)
    if status:
        said = errors.decode("utf-8", "replace").strip()
        raise TemplateError(f"{command!r} returned {status}" + (f": {said}" if said else ""))
    return output.decode("utf-8", "surrogateescape")


def pipe(terms: list[Any], asking: Asking) -> list[Any]:
    return [_output(term, asking).rstrip() for term in terms]


def lines(terms: list[Any], asking: Asking) -> list[Any]:
    return [line for term in terms for line in _output(term, asking).splitlines()]


_URL = frozenset(
    [
        "ca_path",
        "follow_redirects",
        "force",
        "force_basic_auth",
        "headers",
        "http_agent",
        "password",
        "split_lines",
        "timeout",
        "use_proxy",
        "username",
        "validate_certs",
    ]
)


def url(terms: list[Any], asking: Asking) -> list[Any]:
    """The lines of what web addresses answer, or the whole text with `split_lines` false."""
    asking.known(_URL)
    found: list[str] = []
    for term in terms:
        text = _fetched(str(term), asking)
        found += text.splitlines() if asking.flag("split_lines", True) else [text]
    return found


def _fetched(address: str, asking: Asking) -> str:
    import base64
    import urllib.error
    import urllib.request

    if address.partition(":")[0].lower() not in ("http", "https", "ftp", "file"):
        raise TemplateError(f"not an address that can be fetched: {address}")
    headers = {"User-Agent": asking.text("http_agent", "ansible-httpget"), **(asking.get("headers") or {})}
    if asking.flag("force"):
        headers["Cache-Control"] = "no-cache"
    if asking.get("username") is not None:
        secret = f"{asking.text('username')}:{asking.text('password')}".encode()
        headers["Authorization"] = "Basic " + base64.b64encode(secret).decode()
    request = urllib.request.Request(address, headers=headers)  # noqa: S310  # schemes are checked above
    try:
        opener, patience = _opener(asking), float(asking.get("timeout", 10))

        def read() -> bytes:
            with opener.open(request, timeout=patience) as answer:
                return bytes(answer.read())

        return apart(read).decode("utf-8", "surrogateescape")
    except urllib.error.HTTPError as error:
        raise TemplateError(f"Received HTTP error for {address} : HTTP Error {error.code}: {error.reason}") from None
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise TemplateError(f"Failed lookup url for {address} : {error}") from None


def _opener(asking: Asking) -> Any:
    import ssl
    import urllib.request

    context = ssl.create_default_context(cafile=asking.get("ca_path"))
    if not asking.flag("validate_certs", True):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    handlers: list[Any] = [urllib.request.HTTPSHandler(context=context)]
    if not asking.flag("use_proxy", True):
        handlers.append(urllib.request.ProxyHandler({}))
    if asking.text("follow_redirects", "urllib2").lower() in ("no", "none", "false"):
        handlers.append(_stay_handler())
    return urllib.request.build_opener(*handlers)


def _stay_handler() -> Any:
    import urllib.request

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: Any) -> None:
            return None  # the redirection itself is the answer, an error

    return Stay()


LOOKUPS: dict[str, Lookup] = {"pipe": pipe, "lines": lines, "url": url}
