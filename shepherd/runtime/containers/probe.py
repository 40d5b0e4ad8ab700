"""One check of a container's health, done in a process that ends with it."""

import os
import select
import time

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux import syscalls

_LONGEST_OUTPUT = 4096


def run(record, state: dict, test: list, timeout: float) -> dict:
    """{"ExitCode": 0 good, 1 not, -1 it did not answer in time, "Output": what it said}."""
    try:
        if test[0] in ("HTTP", "TCP"):
            return _connect(record, state, test, timeout)
        return _execute(record, test, timeout)
    except (RuntimeFailure, OSError, ValueError, IndexError) as error:
        return {"ExitCode": -1, "Output": str(error)}


def _late(timeout):
    return {"ExitCode": -1, "Output": "Health check exceeded timeout (%gs)" % timeout}


def _execute(record, test, timeout):
    from shepherd.runtime.containers import executing

    if test[0] not in ("CMD", "CMD-SHELL") or len(test) < 2:
        raise RuntimeFailure("there is no kind of check %.40r" % test[0])
    shell = record.config["Config"].get("Shell") or ["/bin/sh", "-c"]
    arguments = test[1:] if test[0] == "CMD" else [*shell, test[1]]
    reader, writer = os.pipe2(os.O_CLOEXEC)
    null = os.open("/dev/null", os.O_RDONLY)
    for number, descriptor in ((0, null), (1, writer), (2, writer)):
        os.dup2(descriptor, number)
    os.close(writer)
    begun = time.monotonic()
    pid = executing.start(record, executing.process(record, arguments))
    null = os.open("/dev/null", os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    said = b""
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    while True:
        left = timeout - (time.monotonic() - begun)
        if left <= 0 or not poll.poll(left * 1000):
            break
        part = os.read(reader, 1 << 16)
        if not part:
            break
        said = (said + part)[:_LONGEST_OUTPUT]
    while True:  # its output may end before it, or outlive it in a child of its own
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            code = 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
            return {"ExitCode": code, "Output": said.decode("utf-8", "replace")}
        if time.monotonic() - begun >= timeout:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
            return _late(timeout)
        time.sleep(0.005)


def _connect(record, state, test, timeout):
    """From inside the container's network, which is all of it that this process enters."""
    import socket

    network = os.open("/proc/%d/ns/net" % record.process(state)["pid"], os.O_RDONLY | os.O_CLOEXEC)
    syscalls.setns(network, syscalls.CLONE_NEWNET)
    target = test[1]
    path = None
    if test[0] == "HTTP":
        if target.startswith("https://"):
            raise RuntimeFailure("a check by https is not there: CMD runs a program of the image's")
        rest = target[len("http://") :] if target.startswith("http://") else target
        target, slash, path = rest.partition("/")
        path = slash + path or "/"
    host, colon, port = target.rpartition(":")
    if not colon and not port.isdigit():
        host, port = target, "80"
    host = (host or "127.0.0.1").strip("[]")
    host = "127.0.0.1" if host == "localhost" else host  # nothing else is looked up, least of all on the machine
    if not _is_address(socket, host):
        raise RuntimeFailure("%.100r is no address: a check by http or tcp takes numbers or localhost" % host)
    try:
        with socket.create_connection((host, int(port)), timeout) as end:
            if path is None:
                return {"ExitCode": 0, "Output": ""}
            named = "%s:%s" % ("[%s]" % host if ":" in host else host, port)  # a port alone is none: servers refuse it
            end.sendall(("GET %s HTTP/1.0\r\nHost: %s\r\nConnection: close\r\n\r\n" % (path, named)).encode("ascii"))
            begun, said = time.monotonic(), b""
            while b"\r\n" not in said and len(said) < _LONGEST_OUTPUT:
                end.settimeout(max(0.001, timeout - (time.monotonic() - begun)))
                part = end.recv(_LONGEST_OUTPUT)
                if not part:
                    break
                said += part
    except socket.timeout:
        return _late(timeout)
    except OSError as error:
        return {"ExitCode": 1, "Output": str(error)}
    words = said.split(b"\r\n", 1)[0].split(None, 2)
    code = int(words[1]) if len(words) > 1 and words[0].startswith(b"HTTP/") and words[1].isdigit() else 0
    return {"ExitCode": 0 if 200 <= code < 400 else 1, "Output": b" ".join(words).decode("utf-8", "replace")[:200]}


def _is_address(socket, text):
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, text)
            return True
        except OSError:
            continue
    return False
