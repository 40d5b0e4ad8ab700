"""Wait until something is so."""

import os
import time

SPEC = {
    "summary": "Wait until a port, a file or a text is there, or is gone",
    "description": "Looks again and again, at most `timeout` seconds long. With neither `port` nor `path` it waits that"
    " long and succeeds.",
    "options": {
        "host": {
            "type": "str",
            "default": "127.0.0.1",
            "help": "The host whose `port` to look at, by name or address.",
        },
        "port": {"type": "int", "help": "A TCP port."},
        "path": {"type": "path", "help": "A path on the host that runs the task."},
        "state": {
            "type": "str",
            "choices": ["absent", "drained", "present", "started", "stopped"],
            "default": "started",
            "help": "`started` or `present`: the port accepts connections, the file is there. `stopped` or `absent`: it"
            " does not, it is not. `drained`: the port has no active connections.",
        },
        "search_regex": {
            "type": "str",
            "help": "A regular expression (`^` and `$` match at lines) that the file must contain, or that"
            " the port must send.",
        },
        "timeout": {"type": "int", "default": 300, "help": "Seconds until it is a failure."},
        "delay": {"type": "int", "default": 0, "help": "Seconds before the first look."},
        "sleep": {"type": "int", "default": 1, "help": "Seconds between looks, at most; the first come sooner."},
        "connect_timeout": {"type": "int", "default": 5, "help": "Seconds for one attempt to connect."},
        "exclude_hosts": {
            "type": "list",
            "elements": "str",
            "help": "Hosts whose connections do not count, by name or address. For `drained`.",
        },
        "active_connection_states": {
            "type": "list",
            "elements": "str",
            "default": ["ESTABLISHED", "FIN_WAIT1", "FIN_WAIT2", "SYN_RECV", "SYN_SENT", "TIME_WAIT"],
            "help": "The states in which a connection counts as active. For `drained`.",
        },
        "msg": {"type": "str", "help": "What to say when the time is up, in place of the usual."},
    },
    "returns": {
        "elapsed": {"type": "int", "help": "Seconds that it took.", "sample": 23},
        "match_groups": {"type": "list", "help": "What the groups of `search_regex` matched in the file."},
        "match_groupdict": {"type": "dict", "help": "What its named groups matched."},
    },
    "check": "none",
    "diff": "none",
    "platforms": ["posix"],
    "since": "0.1",
    "examples": """
- name: The web server answers
  wait_for:
    port: 80
    timeout: 30

- name: Nobody is connected any more
  wait_for:
    port: 8080
    state: drained
    exclude_hosts: [10.2.1.2]

- name: The log says so
  wait_for:
    path: /var/log/app.log
    search_regex: ready in (\\d+) ms
""",
}

REMEMBERED = 1 << 20  # bytes of what a port sent that are searched


def run(task):
    args = task.args
    _check(task)
    start = time.monotonic()

    def elapsed():
        return int(time.monotonic() - start)

    if args["delay"]:
        time.sleep(args["delay"])
    groups, named = [], {}
    if args["port"] is None and args["path"] is None and args["state"] != "drained":
        time.sleep(max(0, args["timeout"] - (time.monotonic() - start)))
    else:
        look, complaint = _looks(args)
        deadline = start + args["timeout"]
        pause = 0.02
        while True:
            if time.monotonic() > deadline:
                task.fail(args["msg"] or complaint, elapsed=elapsed())
            seen = look(deadline)
            if seen:
                break
            time.sleep(max(0, min(pause, args["sleep"], deadline - time.monotonic() + 0.01)))
            pause *= 2
        if hasattr(seen, "groupdict"):
            groups, named = list(seen.groups()), seen.groupdict()
    result = {"changed": False, "state": args["state"], "port": args["port"], "path": args["path"]}
    result.update(search_regex=args["search_regex"], match_groups=groups, match_groupdict=named, elapsed=elapsed())
    if args["path"]:
        from shepherd.remote import attributes

        result.update(attributes.info(args["path"]))
    return result


def _check(task):
    from shepherd.remote import tcp_table

    args = task.args
    state, port, path = args["state"], args["port"], args["path"]
    message = None
    if port is not None and path:
        message = "port and path parameter can not both be passed to wait_for"
    elif path and state in ("stopped", "drained"):
        message = "state=%s should only be used for checking a port in the wait_for module" % state
    elif state == "drained" and port is None:
        message = "state=drained needs a port"
    elif args["exclude_hosts"] is not None and state != "drained":
        message = "exclude_hosts should only be with state=drained"
    for name in args["active_connection_states"]:
        if name not in tcp_table.STATES:
            message = "unknown active_connection_state (%s) defined" % name
    if message:
        task.fail(message, elapsed=0)


def _looks(args):
    """The function that looks (given the time it must end; true when all is well), and what to say in the end."""
    import re

    path, state = args["path"], args["state"]
    place = "%s:%s" % (args["host"], args["port"])
    pattern = (
        re.compile(args["search_regex"].encode("utf-8", "surrogateescape"), re.MULTILINE)
        if args["search_regex"]
        else None
    )
    gone = state in ("absent", "stopped")
    if path and gone:
        return lambda _: not _exists(path), "Timeout when waiting for %s to be absent." % path
    if path:
        if pattern is None:
            return lambda _: _exists(path), "Timeout when waiting for file %s" % path
        text = re.compile(args["search_regex"], re.MULTILINE)
        complaint = "Timeout when waiting for search string %s in %s" % (args["search_regex"], path)
        return lambda _: _found(path, text), complaint
    if gone:
        return lambda deadline: not _connects(args, deadline), "Timeout when waiting for %s to stop." % place
    if state == "drained":
        return lambda _: not _active(args), "Timeout when waiting for %s to drain" % place
    if pattern is None:
        return lambda deadline: _connects(args, deadline), "Timeout when waiting for %s" % place
    complaint = "Timeout when waiting for search string %s in %s" % (args["search_regex"], place)
    return lambda deadline: _sends(args, pattern, deadline), complaint


def _exists(path):
    return os.access(path, os.F_OK)


def _found(path, pattern):
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as stream:
            return pattern.search(stream.read())
    except OSError:
        return None


def _connection(args, deadline):
    """A connected socket, or None."""
    import socket

    patience = max(0.01, min(args["connect_timeout"], deadline - time.monotonic()))
    try:
        return socket.create_connection((args["host"], args["port"]), patience)
    except OSError:
        return None


def _connects(args, deadline):
    connection = _connection(args, deadline)
    if connection is None:
        return False
    connection.close()
    return True


def _sends(args, pattern, deadline):
    connection = _connection(args, deadline)
    if connection is None:
        return False
    received = b""
    try:
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            connection.settimeout(left)
            data = connection.recv(65536)
            received = (received + data)[-REMEMBERED:]
            if pattern.search(received):
                return True
            if not data:
                return False
    except OSError:
        return False
    finally:
        connection.close()


def _active(args):
    """Whether a connection to the port is in one of the states that count."""
    from shepherd.remote import tcp_table

    states = {tcp_table.STATES[name] for name in args["active_connection_states"]}
    local = _addresses(args["host"])
    anywhere = local & {b"\0" * 4, b"\0" * 16}
    excluded = set()
    for host in args["exclude_hosts"] or ():
        excluded |= _addresses(host)
    return any(
        one.port == args["port"]
        and one.state in states
        and (anywhere or one.local in local)
        and one.remote not in excluded
        for one in tcp_table.connections()
    )


def _addresses(host):
    """The addresses of a host as bytes in network order."""
    import socket

    from shepherd.remote import tcp_table

    try:
        found = socket.getaddrinfo(host, 80, 0, socket.SOCK_STREAM)
    except OSError:
        return set()
    return {
        tcp_table.plain(socket.inet_pton(family, address[0].partition("%")[0])) for family, _, _, _, address in found
    }
