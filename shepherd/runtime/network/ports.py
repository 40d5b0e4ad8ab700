"""What `-p` asks for: [ADDRESS:][HOST[-HOST]:]CONTAINER[-CONTAINER][/tcp|udp].

Other than with docker, a port without an address is published on 127.0.0.1 alone: who wants it open to others says so,
with 0.0.0.0, [::] or an address of this machine.
"""

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.network import addresses

DEFAULT_ADDRESS = "127.0.0.1"
PROTOCOLS = ("tcp", "udp")
MOST = 4096  # ports of one container: each is an open socket
_HINT = "[ADDRESS:][HOST[-HOST]:]CONTAINER[-CONTAINER][/tcp|udp], such as 8080:80 or 0.0.0.0:53:53/udp"


class Port:
    """`container`'s port at `address`: `first` to `last` are the ports there that may be taken, 0 any free one."""

    def __init__(self, address: str, first: int, last: int, container: int, protocol: str):
        self.address = address
        self.first = first
        self.last = last
        self.container = container
        self.protocol = protocol

    def __repr__(self) -> str:
        host = str(self.first) if self.first == self.last else "%d-%d" % (self.first, self.last)
        address = "[%s]" % self.address if ":" in self.address else self.address
        return "%s:%s:%d/%s" % (address, host, self.container, self.protocol)

    def __eq__(self, other) -> bool:
        return isinstance(other, Port) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))

    def candidates(self) -> range:
        """The ports to try."""
        return range(self.first, self.last + 1)


def parse_ports(words: list) -> list:
    """A Port for each port that is asked for. Raises RuntimeFailure for the first word that is none."""
    found = []
    for word in words:
        found += _parse(word)
        if len(found) > MOST:
            raise RuntimeFailure("more than %d ports are published" % MOST, "--network host needs none")
    taken = {}
    for port in found:
        if port.first and port.first == port.last:
            if (port.address, port.first, port.protocol) in taken:
                raise RuntimeFailure("%s:%d/%s is published twice" % (port.address, port.first, port.protocol))
            taken[port.address, port.first, port.protocol] = port
    return found


def _parse(word):
    if not isinstance(word, str):
        raise _wrong(word)
    rest, slash, protocol = word.partition("/")
    protocol = protocol.lower() if slash else "tcp"
    if protocol not in PROTOCOLS:
        raise RuntimeFailure("%s: ports are tcp or udp" % ascii(word)[:80], _HINT)
    address, host, container = _split(rest, word)
    if address is None:
        address = DEFAULT_ADDRESS
    first, last = _range(container, word)
    count = last - first + 1
    if not host:
        return [Port(address, 0, 0, first + number, protocol) for number in range(count)]
    low, high = _range(host, word)
    if count == 1:
        return [Port(address, low, high, first, protocol)]
    if high - low + 1 != count:
        raise RuntimeFailure("%s: the two ranges are not equally long" % ascii(word)[:80], _HINT)
    return [Port(address, low + number, low + number, first + number, protocol) for number in range(count)]


def _split(text, word):
    """(address or None, host's ports or "", container's ports)."""
    if text.startswith("["):
        address, bracket, rest = text[1:].partition("]")
        if not bracket or not rest.startswith(":") or ":" not in address:
            raise _wrong(word)
        parts = [address] + rest[1:].split(":")
    else:
        parts = text.split(":")
    if len(parts) == 3:
        return addresses.canonical(parts[0]), parts[1], parts[2]
    if text.startswith("[") or len(parts) > 3 or (len(parts) == 2 and not parts[0]):
        raise _wrong(word)
    return None, parts[0] if len(parts) == 2 else "", parts[-1]


def _range(text, word):
    first, dash, last = text.partition("-")
    try:
        numbers = [addresses.number_of(one, 65535) for one in (first, last if dash else first)]
    except ValueError:
        raise _wrong(word) from None
    if not 0 < numbers[0] <= numbers[1]:
        raise _wrong(word)
    return numbers


def _wrong(word):
    return RuntimeFailure("%s is no port to publish" % ascii(word)[:80], _HINT)
