"""Ports that several containers publish together: a front.

One process holds the sockets for as long as one of them runs, and gives each new connection to the one of them with the
fewest, among those that are well and not held. A container that is *held* gets no new connections, and has no more the
names that it shares with others (hosts.py): so another can take its place from one connection to the next.

    networks/.fronts/NAME/process.json   the process, with when it began and which boot
    networks/.fronts/NAME/members.json   what it was told last
    networks/.fronts/NAME/socket         where it is told of changes; nobody but root comes that far

Which containers belong to a front, and how they are, is in their own records. All of this with the records' lock.
"""

import _socket as socket  # socket itself costs an import of enum
import os
import struct
import time

from shepherd.runtime.bundle import document, state
from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images import files
from shepherd.runtime.network import listening, records, serving
from shepherd.runtime.network.ports import Port

_PATIENCE = 5.0  # seconds for the process to answer
_LONGEST = 1 << 20  # bytes of an answer


def key_of(port) -> str:
    """What a listener is called: `tcp/127.0.0.1:80`, `udp/[::]:53`. `port` is as a record has it."""
    address = "[%s]" % port["address"] if ":" in port["address"] else port["address"]
    return "%s/%s:%d" % (port["protocol"], address, port["host"])


def is_shared(port: Port) -> bool:
    """Whether a port can be had together: one that is named, not one that is chosen."""
    return bool(port.first) and port.first == port.last


def members(kept: records.Records, name: str) -> list:
    """The records of the living containers of a front."""
    return [one for one in kept.containers() if one.get("front") == name and records.alive(one)]


def told(found: list) -> dict:
    """The same, as the process is told of them."""
    made = {}
    for one in found:
        targets = {key_of(port): [one["target"], port["container"]] for port in one["ports"] if port.get("shared")}
        made[one["container"]] = {"pid": one["pid"], "began": one["began"], "held": one["held"], "ill": one["ill"]}
        made[one["container"]]["targets"] = targets
    return made


def apply(kept: records.Records, name: str, leaving: str = "") -> None:
    """Have the process serve what the records say: start it, tell it, end it. Raises RuntimeFailure, where a port is
    another's already. `leaving` is the id of a container whose record is about to go."""
    made = told([one for one in members(kept, name) if one["container"] != leaving])
    wanted = sorted({key for one in made.values() for key in one["targets"]})
    if not wanted:
        _end(kept, name)
        return
    files.make_folder(_path(kept, name))
    state.write(_path(kept, name, "members.json"), document.dumps(made))
    shown = ask(kept, name)
    if shown is not None:
        listeners = _bind([key for key in wanted if key not in shown["ports"]])
        try:
            if _tell(kept, name, listeners):
                return
        finally:
            for one in listeners.values():
                one.close()
    _end(kept, name, False)
    _start(kept, name, wanted, made)


def process(kept: records.Records, name: str):
    """The record of the process; None where there is none."""
    try:
        found = document.read(_path(kept, name, "process.json"))
    except RuntimeFailure:
        return None
    return found if isinstance(found, dict) and records.alive(found) else None


def ask(kept: records.Records, name: str, request: bytes = b"look", sent=()):
    """The answer of the process (forwarder.py), {"ports": [keys], "connections": {id: how many}}; None: there is none.

    `sent` are descriptors that go with the request.
    """
    if process(kept, name) is None:
        return None
    end = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    try:
        end.settimeout(_PATIENCE)
        with _Place(_path(kept, name)) as place:
            end.connect(place)
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("=%di" % len(sent), *sent))] if sent else []
        end.sendmsg([request], rights)
        said = end.recv(_LONGEST)
        return document.loads(said, "the process that publishes ports") if said else None
    except OSError:
        return None
    finally:
        end.close()


def names(kept: records.Records) -> list:
    """All fronts of which there is something."""
    try:
        return sorted(os.listdir(kept.path(".fronts")))
    except FileNotFoundError:
        return []


def _path(kept, name, *parts):
    return kept.path(".fronts", records.check_name(name, "a front"), *parts)


class _Place:
    """The socket's path, short enough for an address of one (unix(7)), as a context."""

    def __init__(self, folder):
        self._folder = folder

    def __enter__(self):
        self._descriptor = os.open(self._folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return "/proc/self/fd/%d/socket" % self._descriptor

    def __exit__(self, *exception):
        os.close(self._descriptor)


def _bind(keys):
    listeners = {}
    try:
        for key in keys:
            protocol, _slash, place = key.partition("/")
            address, _colon, number = place.rpartition(":")
            port = Port(address.strip("[]"), int(number), int(number), int(number), protocol)
            listeners[key] = listening.bind(port)[0]
    except BaseException:
        for one in listeners.values():
            one.close()
        raise
    return listeners


def _start(kept, name, wanted, made):
    listeners = _bind(wanted)
    control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    try:
        control.setblocking(False)
        with _Place(_path(kept, name)) as place:
            control.bind(place)
        control.listen(64)

        def keep(pid):
            state.write(_path(kept, name, "process.json"), document.dumps(records.process(pid)))

        serving.start(listeners, made, keep, control=control)
    finally:
        control.close()
        for one in listeners.values():
            one.close()


def _tell(kept, name, listeners):
    """The members' file, and new listeners in as many messages as it takes: whether the process answered."""
    keys = sorted(listeners)
    while True:
        some, keys = keys[: serving.SOCKETS], keys[serving.SOCKETS :]
        with open(_path(kept, name, "members.json"), "rb") as file:
            sent = [file.fileno()] + [listeners[key].fileno() for key in some]
            if ask(kept, name, b"tell " + " ".join(some).encode("ascii"), sent) is None:
                return False
        if not keys:
            return True


def _end(kept, name, whole=True):
    """End the process, if it is there, and wait for that: its ports are to be free."""
    found = process(kept, name)
    if found is not None:
        state.kill_process(found)
        deadline = time.monotonic() + _PATIENCE
        while state.alive(found) and time.monotonic() < deadline:
            time.sleep(0.001)
    for file in ("socket", "process.json") + (("members.json",) if whole else ()):
        try:
            os.unlink(_path(kept, name, file))
        except FileNotFoundError:
            pass
    if whole:
        try:
            os.rmdir(_path(kept, name))
        except OSError:
            pass  # not there, or a file of who was killed while he wrote one: it is written over
