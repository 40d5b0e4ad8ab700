"""Whom a container asks for names: /etc/resolv.conf (resolv.conf(5)).

A server on the host's own 127.0.0.1 is not there for a container. Where the host has no other, the container's process
that publishes ports listens inside, on 127.0.0.11, and asks it. Nobody else's server is ever put in its place.
"""

import os

from shepherd.runtime.network import addresses, names

HERE = "127.0.0.11"
_FILE = "/etc/resolv.conf"
_UPSTREAM = "/run/systemd/resolve/resolv.conf"  # systemd-resolved(8): what its own 127.0.0.53 asks
_MOST = 1 << 20


def text_of(options: dict, shared: bool = False, outside: bool = True) -> str:
    """The file: as `dns`, `dns_search` and `dns_options` say, else as the host's.

    `shared`: the container is on the host's network. `outside`: it has a network that leads outside.
    Raises RuntimeFailure for what is no address or no domain.
    """
    servers = [addresses.canonical(text) for text in options.get("dns") or []]
    search = [names.check(text, "domain to search") for text in options.get("dns_search") or [] if text != "."]
    settings = list(options.get("dns_options") or [])
    for text in settings:
        names.check(text.replace(":", ""), "option of a resolver")
    theirs = _host(shared)
    if not servers:
        servers = [one for one in theirs["nameserver"] if shared or _is_reachable(one)]
        if not servers and outside and relayed(options):
            servers = [HERE]
    if not options.get("dns_search"):
        search = theirs["search"]
    lines = ["nameserver %s" % one for one in servers]
    if search:
        lines.append("search %s" % " ".join(search))
    settings = settings or theirs["options"]
    if settings:
        lines.append("options %s" % " ".join(settings))
    return "".join(line + "\n" for line in lines)


def relayed(options: dict) -> str:
    """The host's own server that is to be asked for the container; empty where there is no need, or none."""
    theirs = [] if options.get("dns") else _host(False)["nameserver"]
    if any(map(_is_reachable, theirs)):
        return ""
    return next((one for one in theirs if "%" not in one), "")


def _host(shared):
    """What the host's file says; in place of systemd-resolved's own server, those that it asks."""
    found = _read(_FILE)
    if not shared and not any(map(_is_reachable, found["nameserver"])) and os.path.exists(_UPSTREAM):
        return _read(_UPSTREAM)
    return found


def _is_reachable(address):
    return not (address.startswith("127.") or address == "::1" or "%" in address)


def _read(path):
    found = {"nameserver": [], "search": [], "options": []}
    try:
        with open(path, errors="replace") as file:
            lines = file.read(_MOST).splitlines()
    except OSError:
        return found
    for line in lines:
        words = line.split()
        if len(words) < 2 or words[0][0] in "#;":
            continue
        if words[0] == "nameserver":
            found["nameserver"].append(words[1])
        elif words[0] in ("search", "domain"):
            found["search"] = words[1:]
        elif words[0] == "options":
            found["options"] += words[1:]
    return found
