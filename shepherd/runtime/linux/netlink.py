"""Network interfaces, addresses and routes by rtnetlink (rtnetlink(7), <linux/rtnetlink.h>, <linux/if_link.h>).

A message is a header, a fixed structure of its kind, and attributes (length, kind, value; padded to four bytes),
which may nest. Every request asks for an acknowledgement, which carries the errno.
"""

import os
import socket
import struct

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWADDR, RTM_GETADDR = 20, 22
RTM_NEWROUTE, RTM_GETROUTE = 24, 26

NLM_F_REQUEST, NLM_F_ACK = 0x1, 0x4
NLM_F_DUMP = 0x300
NLM_F_CREATE_NEW = 0x400 | 0x200  # NLM_F_CREATE | NLM_F_EXCL
NLMSG_ERROR, NLMSG_DONE = 2, 3

IFF_UP = 1
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MASTER, IFLA_LINKINFO, IFLA_NET_NS_PID = 1, 3, 10, 18, 19
IFLA_INFO_KIND, IFLA_INFO_DATA = 1, 2
VETH_INFO_PEER = 1
IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST = 1, 2, 4
RTA_DST, RTA_OIF, RTA_GATEWAY = 1, 4, 5
RT_TABLE_MAIN, RTPROT_BOOT, RTN_UNICAST = 254, 3, 1

_HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
_LINK = struct.Struct("=BxHiII")  # ifinfomsg: family, type, index, flags, change
_ADDRESS = struct.Struct("=BBBBi")  # ifaddrmsg: family, prefix length, flags, scope, index
_ROUTE = struct.Struct("=BBBBBBBBI")  # rtmsg: family, lengths of dst and src, tos, table, protocol, scope, type, flags
_ATTRIBUTE = struct.Struct("=HH")
_NESTED = 0x8000  # NLA_F_NESTED


def attribute(kind: int, value) -> bytes:
    """One attribute; a str becomes a C string, an int 32 bits, a list of attributes a nest."""
    if isinstance(value, str):
        value = value.encode() + b"\0"
    elif isinstance(value, int):
        value = struct.pack("=I", value)
    elif isinstance(value, list):
        value = b"".join(value)
        kind |= _NESTED
    length = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(length, kind) + value + b"\0" * (-length % 4)


def attributes(data: bytes) -> dict:
    """The attributes in `data` as a dict of kind to bytes; of several of one kind the last."""
    found = {}
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        if length < _ATTRIBUTE.size:
            break
        found[kind & 0x3FFF] = data[_ATTRIBUTE.size : length]
        data = data[(length + 3) & ~3 :]
    return found


class Netlink:
    """A socket to the kernel's routing tables, in the network namespace of the process that opens it."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        self._socket.bind((0, 0))
        self._sequence = 0

    def __enter__(self) -> "Netlink":
        return self

    def __exit__(self, *exception) -> None:
        self._socket.close()

    def request(self, kind: int, body: bytes, flags: int = 0) -> list:
        """Send one request, and return the bodies of the answers. Raises OSError with the kernel's errno."""
        self._sequence += 1
        flags |= NLM_F_REQUEST | NLM_F_ACK
        header = _HEADER.pack(_HEADER.size + len(body), kind, flags, self._sequence, 0)
        self._socket.send(header + body)
        answers = []
        while True:
            data = self._socket.recv(1 << 20)
            while data:
                length, answer, _flags, sequence, _port = _HEADER.unpack_from(data)
                content, data = data[_HEADER.size : length], data[(length + 3) & ~3 :]
                if sequence != self._sequence:
                    continue
                if answer == NLMSG_DONE:
                    return answers
                if answer == NLMSG_ERROR:
                    number = -struct.unpack_from("=i", content)[0]
                    if number:
                        raise OSError(number, os.strerror(number))
                    return answers
                answers.append(content)

    def links(self) -> dict:
        """Interfaces: a dict of name to index."""
        found = {}
        for answer in self.request(RTM_GETLINK, _LINK.pack(0, 0, 0, 0, 0), NLM_F_DUMP):
            index = _LINK.unpack_from(answer)[2]
            name = attributes(answer[_LINK.size :])[IFLA_IFNAME]
            found[name.rstrip(b"\0").decode()] = index
        return found

    def networks(self) -> list:
        """IPv4 networks that addresses and routes of this machine name: a list of (address, prefix length)."""
        found = []
        for answer in self.request(RTM_GETADDR, _ADDRESS.pack(socket.AF_INET, 0, 0, 0, 0), NLM_F_DUMP):
            prefix = _ADDRESS.unpack_from(answer)[1]
            value = attributes(answer[_ADDRESS.size :]).get(IFA_ADDRESS)
            if value:
                found.append((socket.inet_ntoa(value), prefix))
        for answer in self.request(RTM_GETROUTE, _ROUTE.pack(socket.AF_INET, 0, 0, 0, 0, 0, 0, 0, 0), NLM_F_DUMP):
            prefix = _ROUTE.unpack_from(answer)[1]
            value = attributes(answer[_ROUTE.size :]).get(RTA_DST)
            if value:
                found.append((socket.inet_ntoa(value), prefix))
        return found

    def add_bridge(self, name: str) -> None:
        """A bridge, up."""
        information = attribute(IFLA_LINKINFO, [attribute(IFLA_INFO_KIND, "bridge")])
        body = _LINK.pack(0, 0, 0, IFF_UP, IFF_UP) + attribute(IFLA_IFNAME, name) + information
        self.request(RTM_NEWLINK, body, NLM_F_CREATE_NEW)

    def add_veth(self, name: str, master: int, peer: str, pid: int, hardware: bytes) -> None:
        """A pair of interfaces: `name`, up, a port of the bridge with index `master`; and `peer` where `pid` lives.

        `hardware` is the peer's address on the wire, six bytes: one that is the same for the same IP address keeps
        neighbours that remember it from talking to an interface that is gone.
        """
        there = _LINK.pack(0, 0, 0, 0, 0) + attribute(IFLA_IFNAME, peer) + attribute(IFLA_NET_NS_PID, pid)
        there += attribute(IFLA_ADDRESS, hardware)
        data = attribute(IFLA_INFO_DATA, [attribute(VETH_INFO_PEER, there)])
        information = attribute(IFLA_LINKINFO, [attribute(IFLA_INFO_KIND, "veth"), data])
        here = _LINK.pack(0, 0, 0, IFF_UP, IFF_UP) + attribute(IFLA_IFNAME, name) + attribute(IFLA_MASTER, master)
        self.request(RTM_NEWLINK, here + information, NLM_F_CREATE_NEW)

    def set_up(self, index: int) -> None:
        """Switch an interface on."""
        self.request(RTM_NEWLINK, _LINK.pack(0, 0, index, IFF_UP, IFF_UP))

    def delete(self, index: int) -> None:
        """Take an interface away; with one of a pair goes the other."""
        self.request(RTM_DELLINK, _LINK.pack(0, 0, index, 0, 0))

    def add_address(self, index: int, address: str, prefix: int) -> None:
        """Give an interface an IPv4 address, and the route to its network with it."""
        local = socket.inet_aton(address)
        hosts = (1 << (32 - prefix)) - 1
        broadcast = struct.pack("!I", struct.unpack("!I", local)[0] | hosts)
        body = _ADDRESS.pack(socket.AF_INET, prefix, 0, 0, index)
        body += attribute(IFA_LOCAL, local) + attribute(IFA_ADDRESS, local) + attribute(IFA_BROADCAST, broadcast)
        self.request(RTM_NEWADDR, body, NLM_F_CREATE_NEW)

    def add_default_route(self, gateway: str) -> None:
        """Send by `gateway` (IPv4) what no other route takes."""
        body = _ROUTE.pack(socket.AF_INET, 0, 0, 0, RT_TABLE_MAIN, RTPROT_BOOT, 0, RTN_UNICAST, 0)
        self.request(RTM_NEWROUTE, body + attribute(RTA_GATEWAY, socket.inet_aton(gateway)), NLM_F_CREATE_NEW)
