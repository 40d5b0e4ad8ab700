"""The TCP connections of this host, from /proc/net/tcp and /proc/net/tcp6 (proc(5))."""

import sys
from collections import namedtuple

# local and remote are the bytes of an address in network order
Connection = namedtuple("Connection", "local port remote state")

# include/net/tcp_states.h
STATES = {
    "ESTABLISHED": 1,
    "SYN_SENT": 2,
    "SYN_RECV": 3,
    "FIN_WAIT1": 4,
    "FIN_WAIT2": 5,
    "TIME_WAIT": 6,
}
_MAPPED = b"\0" * 10 + b"\xff\xff"  # an IPv4 address in an IPv6 one


def connections():
    """Every Connection, those that only listen among them."""
    for path in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(path) as table:
                next(table, None)
                for line in table:
                    fields = line.split()
                    address, _, port = fields[1].partition(":")
                    remote = fields[2].partition(":")[0]
                    yield Connection(_packed(address), int(port, 16), _packed(remote), int(fields[3], 16))
        except OSError:
            pass  # no IPv6 here


def _packed(text):
    """An address as the kernel prints it: 32-bit words in the byte order of the machine."""
    data = bytes.fromhex(text)
    if sys.byteorder == "little":
        data = b"".join(data[at : at + 4][::-1] for at in range(0, len(data), 4))
    return plain(data)


def plain(address):
    """An IPv4 address that is written as an IPv6 one, as itself."""
    return address[12:] if address.startswith(_MAPPED) else address
