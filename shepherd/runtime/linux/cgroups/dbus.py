"""D-Bus, as much of it as talking to systemd takes: the message and the authentication protocol of its specification.

A signature is the specification's: values are int, bool, float, str; a list for "a"; a tuple for "("; a list of pairs
for "a{"; and a pair of signature and value for "v", which comes back as the value alone.
"""

import os
import socket
import struct

from shepherd.runtime.errors import RuntimeFailure

_FIXED = {"y": "B", "n": "h", "q": "H", "i": "i", "u": "I", "b": "I", "x": "q", "t": "Q", "d": "d"}
_ALIGNMENT = {"g": 1, "v": 1, "s": 4, "o": 4, "a": 4, "(": 8, "{": 8}
_ALIGNMENT.update((kind, struct.calcsize("=" + code)) for kind, code in _FIXED.items())
_CALL, _RETURN, _ERROR, _SIGNAL = 1, 2, 3, 4
# fields of a message's head: name: (number, signature)
_FIELDS = {
    "path": (1, "o"),
    "interface": (2, "s"),
    "member": (3, "s"),
    "error": (4, "s"),
    "reply": (5, "u"),
    "destination": (6, "s"),
    "signature": (8, "g"),
}
_NAMES = {number: name for name, (number, _signature) in _FIELDS.items()}
_LONGEST = 1 << 27  # a message, by the specification


def complete(signature: str) -> list:
    """The complete types that a signature is made of, in their order."""
    found = []
    while signature:
        size = 1
        while signature[size - 1] == "a":
            size += 1
        if signature[size - 1] in "({":
            depth = 1
            while depth:
                depth += {"(": 1, "{": 1, ")": -1, "}": -1}.get(signature[size], 0)
                size += 1
        found.append(signature[:size])
        signature = signature[size:]
    return found


def _pad(data, alignment):
    data.extend(bytes(-len(data) % alignment))


def put(data: bytearray, signature: str, value) -> None:
    """Append a value of one complete type. `data` begins where alignment counts from."""
    kind = signature[0]
    _pad(data, _ALIGNMENT[kind])
    if kind in _FIXED:
        data += struct.pack("<" + _FIXED[kind], value)
    elif kind in "sog":
        text = value.encode()
        data += struct.pack("<B" if kind == "g" else "<I", len(text)) + text + b"\0"
    elif kind == "v":
        put(data, "g", value[0])
        put(data, value[0], value[1])
    elif kind == "a":
        place = len(data)
        data += bytes(4)
        _pad(data, _ALIGNMENT[signature[1]])
        start = len(data)
        for one in value:
            put(data, signature[1:], one)
        struct.pack_into("<I", data, place, len(data) - start)
    else:
        for inner, one in zip(complete(signature[1:-1]), value):
            put(data, inner, one)


def get(data: bytes, offset: int, signature: str, order: str = "<") -> tuple:
    """(a value of one complete type, the offset behind it)."""
    kind = signature[0]
    offset += -offset % _ALIGNMENT[kind]
    if kind in _FIXED:
        value = struct.unpack_from(order + _FIXED[kind], data, offset)[0]
        return bool(value) if kind == "b" else value, offset + _ALIGNMENT[kind]
    if kind in "sog":
        head = order + ("B" if kind == "g" else "I")
        size = struct.unpack_from(head, data, offset)[0]
        start = offset + struct.calcsize(head)
        return bytes(data[start : start + size]).decode("utf-8", "replace"), start + size + 1
    if kind == "v":
        inner, offset = get(data, offset, "g", order)
        return get(data, offset, inner, order)
    found = []
    if kind == "a":
        size = struct.unpack_from(order + "I", data, offset)[0]
        offset += 4
        offset += -offset % _ALIGNMENT[signature[1]]
        end = offset + size
        while offset < end:
            value, offset = get(data, offset, signature[1:], order)
            found.append(value)
        return found, offset
    for inner in complete(signature[1:-1]):
        value, offset = get(data, offset, inner, order)
        found.append(value)
    return tuple(found), offset


class Message:
    """What comes: `kind`, `serial`, `fields` by name, `body` as a list of values."""

    def __init__(self, kind, serial, fields, body):
        self.kind = kind
        self.serial = serial
        self.fields = fields
        self.body = body


class Connection:
    """To a socket: of a bus, where `bus` is true, or of a program that speaks for itself. Raises OSError."""

    def __init__(self, path: str, bus: bool, patience: float = 30.0):
        self._serial = 0
        self._signals = []
        self._data = b""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(patience)
        try:
            self._socket.connect(path)
            self._log_in()
            if bus:
                self.call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello")
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._socket.close()

    def _log_in(self):
        """The kernel tells the other end who we are.

        BEGIN goes along with the name: were it to come with the first message, systemd would keep that, and wait.
        """
        name = b"".join(b"%02x" % byte for byte in b"%d" % os.geteuid())
        self._socket.sendall(b"\0AUTH EXTERNAL " + name + b"\r\nBEGIN\r\n")
        while b"\r\n" not in self._data:
            self._read_more()
        answer, _end, self._data = self._data.partition(b"\r\n")
        if not answer.startswith(b"OK "):
            raise PermissionError(1, "it does not let us in: %s" % answer.decode("utf-8", "replace"))

    def _read_more(self):
        try:
            more = self._socket.recv(65536)
        except socket.timeout:
            raise OSError(110, "it does not answer") from None
        if not more:
            raise ConnectionResetError(104, "it has closed the connection")
        self._data += more

    def call(self, destination: str, path: str, interface: str, member: str, signature: str = "", *values) -> list:
        """Call a method, and return what it returns. Raises RuntimeFailure with what it says where it fails."""
        self._serial += 1
        fields = {"path": path, "interface": interface, "member": member, "destination": destination}
        body = bytearray()
        if signature:
            fields["signature"] = signature
            for inner, value in zip(complete(signature), values):
                put(body, inner, value)
        data = bytearray(b"l%c\0\1" % _CALL) + struct.pack("<II", len(body), self._serial)
        put(data, "a(yv)", [(_FIELDS[name][0], (_FIELDS[name][1], value)) for name, value in fields.items()])
        _pad(data, 8)
        self._socket.sendall(data + body)
        while True:
            message = self._receive()
            if message.kind == _SIGNAL:
                self._signals.append(message)
            elif message.fields.get("reply") == self._serial and message.kind == _RETURN:
                return message.body
            elif message.fields.get("reply") == self._serial and message.kind == _ERROR:
                raise CallFailure(message.fields.get("error", ""), message.body)

    def signal(self) -> Message:
        """The next signal."""
        while not self._signals:
            message = self._receive()
            if message.kind == _SIGNAL:
                self._signals.append(message)
        return self._signals.pop(0)

    def _receive(self):
        while len(self._data) < 16:
            self._read_more()
        order = "<" if self._data[:1] == b"l" else ">"
        size, serial, fields = struct.unpack_from(order + "III", self._data, 4)
        start = 16 + fields + -fields % 8
        if start + size > _LONGEST:
            raise ConnectionResetError(104, "it sends a message that is too long")
        while len(self._data) < start + size:
            self._read_more()
        head, body, self._data = self._data[:start], self._data[start : start + size], self._data[start + size :]
        pairs = get(head, 12, "a(yv)", order)[0]
        named = {_NAMES[number]: value for number, value in pairs if number in _NAMES}
        values, offset = [], 0
        for inner in complete(named.get("signature", "")):
            value, offset = get(body, offset, inner, order)
            values.append(value)
        return Message(head[1], serial, named, values)


class CallFailure(RuntimeFailure):
    """A method failed. `name` is D-Bus's of the error."""

    def __init__(self, name, body):
        super().__init__(str(body[0]) if body else name)
        self.name = name
