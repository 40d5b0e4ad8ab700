"""What an image says of its containers, changed by instructions (OCI image specification, config.md; Docker's image
specification has Healthcheck, Shell and OnBuild besides)."""

import re
import signal

from shepherd.runtime.build.problems import Wrong, shown
from shepherd.runtime.errors import RuntimeFailure, nearest

_PORT = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?(?:/(tcp|udp|sctp))?\Z")
_SHELL = ["/bin/sh", "-c"]
_FORMS = {
    "Cmd": list,
    "Entrypoint": list,
    "Env": list,
    "ExposedPorts": dict,
    "Labels": dict,
    "OnBuild": list,
    "Shell": list,
    "StopSignal": str,
    "User": str,
    "Volumes": dict,
    "WorkingDir": str,
}


def check(table, what) -> None:
    """Raise RuntimeFailure where what another program wrote as `config` is not of the form that we go on from."""
    for key, form in _FORMS.items():
        value = table.get(key)
        if value is None:
            continue
        parts = value if form is list else list(value) if form is dict and isinstance(value, dict) else [value]
        if key == "Labels" and isinstance(value, dict):
            parts += value.values()
        if not isinstance(value, form) or not all(isinstance(one, str) and "\0" not in one for one in parts):
            raise RuntimeFailure("the configuration of %s has a %s of another form than it should" % (what, key))


class Settings:
    """`table` is the `config` of an image's configuration."""

    def __init__(self, table, author=None):
        self.table = {key: value for key, value in table.items() if value is not None}
        self.author = author
        self.command_is_ours = False

    @property
    def environment(self) -> dict:
        found = {}
        for one in self.table.get("Env") or []:
            name, _, value = one.partition("=")
            found[name] = value
        return found

    @property
    def folder(self) -> str:
        return self.table.get("WorkingDir") or "/"

    @property
    def user(self) -> str:
        return self.table.get("User") or ""

    @property
    def shell(self) -> list:
        return self.table.get("Shell") or _SHELL

    def set_environment(self, pairs):
        found = self.environment
        found.update(pairs)
        self.table["Env"] = ["%s=%s" % pair for pair in found.items()]

    def set_labels(self, pairs):
        self.table["Labels"] = dict(self.table.get("Labels") or {}, **dict(pairs))

    def set_command(self, command):
        self.table["Cmd"] = command
        self.command_is_ours = True

    def set_entrypoint(self, command):
        self.table["Entrypoint"] = command
        if not self.command_is_ours:
            self.table.pop("Cmd", None)  # the base's arguments are those of another program

    def expose(self, texts):
        ports = dict(self.table.get("ExposedPorts") or {})
        for text in texts:
            for port in _ports(text):
                ports[port] = {}
        self.table["ExposedPorts"] = ports

    def add_volumes(self, paths):
        self.table["Volumes"] = dict(self.table.get("Volumes") or {}, **{path: {} for path in paths})

    def set_stop_signal(self, text):
        self.table["StopSignal"] = _signal(text)

    def set_health_check(self, test, options):
        found = {"Test": test}
        for option, key in (
            ("interval", "Interval"),
            ("timeout", "Timeout"),
            ("start-period", "StartPeriod"),
            ("start-interval", "StartInterval"),
            ("retries", "Retries"),
        ):
            if options.get(option):
                found[key] = options[option]
        self.table["Healthcheck"] = found


def _ports(text):
    match = _PORT.match(text.lower())
    if match is None:
        raise Wrong("%s is no port, such as 80, 80/udp or 8000-8010" % shown(text)[:60], text)
    first, last, protocol = match.groups()
    first, last = int(first), int(last or first)
    if not 0 < first <= last <= 65535:
        raise Wrong("%s: ports are from 1 to 65535" % text, text)
    return ["%d/%s" % (port, protocol or "tcp") for port in range(first, last + 1)]


def _signal(text):
    """A number, or a name with SIG before it (signal(7))."""
    if text.isdigit():
        if 0 < int(text) <= 64:
            return text
        raise Wrong("there is no signal %s" % text[:40], text)
    name = text.upper()
    name = name if name.startswith("SIG") else "SIG" + name
    known = [one for one in dir(signal) if re.match("SIG[A-Z]", one)]
    if name not in known and re.match(r"SIGRT(MIN\+|MAX-)[0-9]{1,2}\Z", name) is None:
        raise Wrong("there is no signal %s" % shown(text)[:40], text, nearest(name, known))
    return name
