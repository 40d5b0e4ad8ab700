"""What one connection needs to know, from the inventory, the SSH arguments and ssh_config, in that precedence."""

from __future__ import annotations

import getpass
import os
import pwd
import re
import socket
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from shepherd.origin import Origin
from shepherd.transport import ssh_config
from shepherd.transport.heartbeat import INTERVAL
from shepherd.transport.ssh_arguments import parse_arguments
from shepherd.transport.ssh_errors import Refused
from shepherd.transport.tokens import expand_command, expand_path, expand_tokens

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from shepherd.transport import Endpoint, Secret
    from shepherd.transport.ssh_config import Directive

ACCEPT_NEW = "SHEPHERD_ACCEPT_NEW_HOST_KEYS"  # in the environment, also set by --accept-new-host-keys
USER_KNOWN_HOSTS = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2")
GLOBAL_KNOWN_HOSTS = ("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")
DEFAULT_IDENTITIES = ("~/.ssh/id_rsa", "~/.ssh/id_ecdsa", "~/.ssh/id_ed25519")
DEFAULT_TIMEOUT = 10.0  # Endpoint's; a ConnectTimeout wins over it, and anything else wins over a ConnectTimeout
JUMPS = 8  # hosts in a chain, against a loop in the configuration

_CHECKING = {"yes": "yes", "true": "yes", "ask": "yes", "accept-new": "accept-new", "no": "no", "false": "no"} | {
    "off": "no",
    "on": "yes",
}
_DURATION = re.compile(r"(\d+)([smhdw]?)", re.IGNORECASE)
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_JUMP = re.compile(r"(?:ssh://)?(?:(.*)@)?(\[[^\]]+\]|[^:/]+)(?::(\d+))?/?")
METHODS = ("publickey", "keyboard-interactive", "password")


@dataclass(frozen=True, slots=True)
class Settings:
    """How to reach one SSH server. Files are whole paths, times are seconds. Equal ones can share a connection."""

    name: str = field(compare=False)  # the inventory's name, for messages
    host: str  # what is connected to: HostName, or the address as given
    port: int
    user: str
    via: Settings | None = None  # the jump host before it
    proxy_command: str | None = None
    address_family: int = 0
    bind_address: str | None = None
    timeout: float = DEFAULT_TIMEOUT
    alive_interval: float = INTERVAL  # seconds; 0 is off
    alive_count: int = 3
    compression: bool = False
    environment: tuple[tuple[str, str], ...] = ()
    # who we are
    password: Secret | None = None
    methods: tuple[str, ...] = METHODS
    identity_files: tuple[str, ...] = ()  # asked for by name
    default_identities: tuple[str, ...] = ()  # tried where they exist
    certificate_files: tuple[str, ...] = ()
    identities_only: bool = False
    agent_socket: str | None = None
    forward_agent: bool = False
    # who the server is
    user_known_hosts: tuple[str, ...] = ()
    global_known_hosts: tuple[str, ...] = ()
    revoked_host_keys: str | None = None
    host_key_alias: str | None = None
    host_key_checking: str = "yes"  # or "accept-new", or "no"
    hash_known_hosts: bool = False
    # algorithms, as ssh_config writes them; None is our own choice
    host_key_algorithms: str | None = None
    ciphers: str | None = None
    macs: str | None = None
    key_exchanges: str | None = None

    @property
    def known_as(self) -> str:
        """The name to look up in known_hosts (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT)."""
        if self.host_key_alias:
            return self.host_key_alias
        host = self.host.lower()
        return host if self.port == 22 else f"[{host}]:{self.port}"

    @property
    def where(self) -> str:
        """The server, for messages."""
        return f"{self.host} port {self.port}" + (f" behind {self.via.host}" if self.via else "")


def settings_for(endpoint: Endpoint) -> Settings:
    """The settings of an endpoint. Reads files, and may run the commands of `Match exec`. Raises Refused."""
    origin = Origin("inventory")
    lines: list[Directive] = []
    for keyword, value in (
        ("port", endpoint.port),
        ("user", endpoint.user),
        ("identityfile", endpoint.private_key_file),
    ):
        if value is not None:
            lines.append(ssh_config.Directive(keyword, _quoted(str(value)), origin))
    arguments, file = parse_arguments(endpoint.ssh_args)
    lines += arguments
    settings = _resolve(endpoint.host, endpoint.address, lines, file, endpoint, alive=endpoint.alive_interval)
    if not endpoint.host_key_checking:
        return replace(settings, host_key_checking="no")
    return settings


def _resolve(
    name: str,
    address: str,
    first: Sequence[Directive],
    file: str | None,
    endpoint: Endpoint | None,
    depth: int = 0,
    *,
    alive: float,
) -> Settings:
    """The settings of a host, or with `depth` of a jump host, where `endpoint` is None.

    `alive` is the run's own ServerAliveInterval, for hosts that ssh_config gives none; an explicit 0 there counts.
    """
    local_user = _local_user()
    found = ssh_config.resolve(address, first=first, file=file, local_user=local_user)
    value = _Values(found)
    host = expand_tokens(value.text("hostname", "%h"), {"h": address})
    port = value.number("port", 22, 65535)
    user = value.text("user", local_user)
    alias = value.text("hostkeyalias") or None
    tokens = {
        "h": host,
        "n": address,
        "p": str(port),
        "r": user,
        "u": local_user,
        "i": str(os.getuid()),
        "k": alias or address,
        "l": socket.gethostname(),
        "L": socket.gethostname().split(".")[0],
        "d": os.path.expanduser("~"),  # noqa: PTH111  # a str is wanted
        "j": value.text("proxyjump"),
    }
    timeout = endpoint.timeout if endpoint else DEFAULT_TIMEOUT
    if timeout == DEFAULT_TIMEOUT:
        timeout = value.seconds("connecttimeout") or timeout
    named = value.paths("identityfile", tokens)
    jump, proxy_command = _proxy(found, value, tokens)
    via = _jump(jump, file, depth, alive) if jump else None
    return Settings(
        name=name,
        host=host,
        port=port,
        user=user,
        via=via,
        proxy_command=proxy_command,
        address_family={"inet": socket.AF_INET, "inet6": socket.AF_INET6}.get(value.text("addressfamily"), 0),
        bind_address=value.text("bindaddress") or None,
        timeout=timeout,
        alive_interval=value.seconds("serveraliveinterval") if "serveraliveinterval" in found else alive,
        alive_count=value.number("serveralivecountmax", 3),
        compression=value.flag("compression", False),
        environment=_environment(found),
        password=endpoint.password if endpoint else None,
        methods=_methods(value),
        identity_files=named,
        default_identities=() if "identityfile" in found else _home(DEFAULT_IDENTITIES),
        certificate_files=value.paths("certificatefile", tokens),
        identities_only=value.flag("identitiesonly", False),
        agent_socket=_agent(value.text("identityagent"), tokens),
        forward_agent=value.text("forwardagent", "no").lower() in ("yes", "true"),
        user_known_hosts=value.paths("userknownhostsfile", tokens, _home(USER_KNOWN_HOSTS)),
        global_known_hosts=value.paths("globalknownhostsfile", tokens, GLOBAL_KNOWN_HOSTS),
        revoked_host_keys=next(iter(value.paths("revokedhostkeys", tokens)), None),
        host_key_alias=alias,
        host_key_checking=_checking(found, first),
        hash_known_hosts=value.flag("hashknownhosts", False),
        host_key_algorithms=value.text("hostkeyalgorithms") or None,
        ciphers=value.text("ciphers") or None,
        macs=value.text("macs") or None,
        key_exchanges=value.text("kexalgorithms") or None,
    )


class _Values:
    """What was found, read as the types of its keywords."""

    def __init__(self, found: dict[str, list[str]]) -> None:
        self._found = found

    def text(self, keyword: str, default: str = "") -> str:
        return self._found.get(keyword, [default])[0]

    def number(self, keyword: str, default: int, most: int = 2**31) -> int:
        text = self.text(keyword, str(default))
        if not text.isdigit() or not 0 <= int(text) <= most:
            raise Refused(f"ssh_config: {keyword} {text!r} is no number that it can have")
        return int(text)

    def flag(self, keyword: str, default: bool) -> bool:
        text = self.text(keyword, "yes" if default else "no").lower()
        if text not in ("yes", "no", "true", "false"):
            raise Refused(f"ssh_config: {keyword} {text!r} is neither yes nor no")
        return text in ("yes", "true")

    def seconds(self, keyword: str) -> float:
        """A time as ssh_config(5) TIME FORMATS of sshd_config writes it: 90, 90s, 1m30s; none is 0."""
        text = self.text(keyword, "0")
        if text.lower() == "none":
            return 0.0
        parts = _DURATION.findall(text)
        if "".join(number + unit for number, unit in parts) != text:
            raise Refused(f"ssh_config: {keyword} {text!r} is no time")
        return float(sum(int(number) * _UNITS[unit.lower()] for number, unit in parts))

    def paths(self, keyword: str, tokens: dict[str, str], default: tuple[str, ...] = ()) -> tuple[str, ...]:
        written = self._found.get(keyword)
        if written is None:
            return default
        return tuple(expand_path(path, tokens) for path in written if path.lower() != "none")


def _proxy(found: dict[str, list[str]], value: _Values, tokens: dict[str, str]) -> tuple[str, str | None]:
    """The ProxyJump or the ProxyCommand, whichever was said first; neither for `none`."""
    jump = command = ""
    for keyword in found:  # in the order in which they were found
        if keyword == "proxyjump":
            jump = value.text(keyword)
            break
        if keyword == "proxycommand":
            command = value.text(keyword)
            break
    if command and command.lower() != "none":
        return "", expand_command(command, {key: tokens[key] for key in "hnpr"})
    return ("" if jump.lower() == "none" else expand_tokens(jump, tokens)), None


def _jump(chain: str, file: str | None, depth: int, alive: float) -> Settings:
    """The last jump host of `[user@]host[:port],…`, which is reached through the ones before it.

    A jump host takes its other settings from the configuration files alone, as with `ssh -J`.
    """
    if depth >= JUMPS:
        raise Refused(f"more than {JUMPS} jump hosts in a row: does ProxyJump lead back to itself?")
    before, _, last = chain.rpartition(",")
    matched = _JUMP.fullmatch(last.strip())
    if not matched:
        raise Refused(f"ProxyJump {last!r} is not [user@]host[:port]")
    user, host, port = matched.groups()
    host = host.strip("[]")
    origin = Origin("ProxyJump")
    lines = [
        ssh_config.Directive(keyword, _quoted(text), origin)
        for keyword, text in (("user", user), ("port", port), ("proxyjump", before))
        if text
    ]
    return _resolve(f"jump host {host}", host, lines, file, None, depth + 1, alive=alive)


def _checking(found: dict[str, list[str]], first: Sequence[Directive]) -> str:
    """The arguments' word, then the environment's, then the files'. Nobody is asked, so ask is yes."""
    written = found.get("stricthostkeychecking", ["yes"])[0]
    accept_new = os.environ.get(ACCEPT_NEW, "").lower() in ("1", "yes", "y", "true", "t", "on")
    if accept_new and not any(line.keyword == "stricthostkeychecking" for line in first):
        return "accept-new"
    if written.lower() not in _CHECKING:
        raise Refused(f"StrictHostKeyChecking {written!r} is none of yes, accept-new, no")
    return _CHECKING[written.lower()]


def _methods(value: _Values) -> tuple[str, ...]:
    allowed = {
        "publickey": value.flag("pubkeyauthentication", True),
        "password": value.flag("passwordauthentication", True),
        "keyboard-interactive": value.flag("kbdinteractiveauthentication", True),
    }
    preferred = value.text("preferredauthentications", ",".join(METHODS)).split(",")
    return tuple(method for method in METHODS if allowed[method] and method in preferred)


def _environment(found: dict[str, list[str]]) -> tuple[tuple[str, str], ...]:
    patterns = [pattern for word in found.get("sendenv", ()) for pattern in word.split()]
    unset = [pattern[1:] for pattern in patterns if pattern.startswith("-")]
    sent = {
        name: text
        for name, text in os.environ.items()
        if any(fnmatchcase(name, pattern) for pattern in patterns)
        and not any(fnmatchcase(name, pattern) for pattern in unset)
    }
    for word in found.get("setenv", ()):
        name, equals, text = word.partition("=")
        if equals:
            sent[name] = text
    return tuple(sorted(sent.items()))


def _agent(written: str, tokens: dict[str, str]) -> str | None:
    if written.lower() == "none":
        return None
    if written in ("", "SSH_AUTH_SOCK"):
        return os.environ.get("SSH_AUTH_SOCK") or None
    if written.startswith("$") and not written.startswith("${"):
        return os.environ.get(written[1:]) or None
    return expand_path(written, tokens)


def _local_user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's number without a name
        return getpass.getuser()


def _home(paths: Iterable[str]) -> tuple[str, ...]:
    return tuple(os.path.expanduser(path) for path in paths)  # noqa: PTH111  # a str is wanted


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
