"""Network interfaces, addresses and routes by rtnetlink (rtnetlink(7), <linux/rtnetlink.h>, <linux/if_link.h>).

A message is a header, a fixed structure of its kind, and attributes (length, kind, value; padded to four bytes),
which may nest. Every request asks for an acknowledgement, which carries the errno.
"""

import _socket as socket  # socket itself costs an import of enum
import errno
import os
import struct

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, RTM_SETLINK = 16, 17, 18, 19
RTM_NEWADDR, RTM_GETADDR = 20, 22
RTM_NEWROUTE, RTM_GETROUTE = 24, 26
RTM_NEWNEIGH, RTM_DELNEIGH = 28, 29

NLM_F_REQUEST, NLM_F_ACK = 0x1, 0x4
NLM_F_DUMP = 0x300
NLM_F_CREATE_NEW = 0x400 | 0x200  # NLM_F_CREATE | NLM_F_EXCL
NLM_F_CREATE_OR_REPLACE = 0x400 | 0x100  # NLM_F_CREATE | NLM_F_REPLACE
NLMSG_ERROR, NLMSG_DONE = 2, 3

IFF_UP, IF_OPER_UP = 1, 6
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_MASTER, IFLA_PROTINFO, IFLA_OPERSTATE, IFLA_LINKINFO = 1, 3, 4, 10, 12, 16, 18
IFLA_NET_NS_PID, IFLA_NET_NS_FD = 19, 28
IFLA_INFO_KIND, IFLA_INFO_DATA = 1, 2
IFLA_BRPORT_LEARNING, IFLA_BRPORT_UNICAST_FLOOD, IFLA_BRPORT_ISOLATED = 8, 9, 33
VETH_INFO_PEER = 1
IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST = 1, 2, 4
IFA_F_NODAD = 0x02
RTA_DST, RTA_OIF, RTA_GATEWAY = 1, 4, 5
RT_TABLE_MAIN, RTPROT_BOOT, RTN_UNICAST = 254, 3, 1
NDA_DST, NDA_LLADDR = 1, 2
NUD_NOARP, NUD_PERMANENT, NTF_MASTER = 0x40, 0x80, 0x04

NETLINK_ROUTE, NETLINK_NETFILTER = 0, 12
NFT_MSG_GETCHAIN = 10 << 8 | 4  # <linux/netfilter/nf_tables.h>: NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETCHAIN
NFTA_CHAIN_TABLE, NFTA_CHAIN_NAME = 1, 3
NFPROTO_INET = 1

_HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
_LINK = struct.Struct("=BxHiII")  # ifinfomsg: family, type, index, flags, change
_ADDRESS = struct.Struct("=BBBBi")  # ifaddrmsg: family, prefix length, flags, scope, index
_ROUTE = struct.Struct("=BBBBBBBBI")  # rtmsg: family, lengths of dst and src, tos, table, protocol, scope, type, flags
_NEIGHBOUR = struct.Struct("=BxxxiHBB")  # ndmsg: family, index, state, flags, type
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


def messages(data: bytes) -> list:
    """The messages of one datagram: a list of (kind, sequence, body). Raises OSError (EBADMSG) for what is none."""
    found = []
    while data:
        if len(data) < _HEADER.size:
            raise OSError(errno.EBADMSG, "a netlink message is cut short")
        length, kind, _flags, sequence, _port = _HEADER.unpack_from(data)
        if not _HEADER.size <= length <= len(data):
            raise OSError(errno.EBADMSG, "a netlink message has a wrong length")
        found.append((kind, sequence, data[_HEADER.size : length]))
        data = data[(length + 3) & ~3 :]
    return found


def _fields(layout, body):
    """What an answer begins with."""
    if len(body) < layout.size:
        raise OSError(errno.EBADMSG, "an answer by netlink is cut short")
    return layout.unpack_from(body)


def packed(address: str) -> tuple:
    """Family and bytes of an IPv4 or IPv6 address in digits."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return family, socket.inet_pton(family, address)


class Netlink:
    """A socket to the kernel's routing tables (or `protocol`), in the network namespace of the thread that opens it.

    With `namespace`, the descriptor of one, it is that namespace's: the thread is in it for the moment that takes.
    """

    def __init__(self, namespace=None, protocol: int = NETLINK_ROUTE) -> None:
        if namespace is None:
            self._socket = self._open(protocol)
        else:
            from shepherd.runtime.linux import syscalls

            with syscalls.inside(namespace, syscalls.CLONE_NEWNET):
                self._socket = self._open(protocol)
        self._sequence = 0

    @staticmethod
    def _open(protocol):
        opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        opened.bind((0, 0))
        return opened

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
            for answer, sequence, content in messages(self._socket.recv(1 << 20)):
                if sequence != self._sequence:
                    continue
                if answer == NLMSG_DONE:
                    return answers
                if answer == NLMSG_ERROR:
                    if len(content) < 4:
                        raise OSError(errno.EBADMSG, "a netlink error has no number")
                    number = -struct.unpack_from("=i", content)[0]
                    if number:
                        raise OSError(number, os.strerror(number))
                    return answers
                answers.append(content)

    def links(self) -> dict:
        """Interfaces: a dict of name to index."""
        found = {}
        for answer in self.request(RTM_GETLINK, _LINK.pack(0, 0, 0, 0, 0), NLM_F_DUMP):
            index = _fields(_LINK, answer)[2]
            name = attributes(answer[_LINK.size :]).get(IFLA_IFNAME, b"")
            found[os.fsdecode(name.rstrip(b"\0"))] = index
        return found

    def bridges(self) -> list:
        """The names of the interfaces that are bridges."""
        found = []
        asked = attribute(IFLA_LINKINFO, [attribute(IFLA_INFO_KIND, "bridge")])  # before Linux 4.6 all are told
        for answer in self.request(RTM_GETLINK, _LINK.pack(0, 0, 0, 0, 0) + asked, NLM_F_DUMP):
            said = attributes(answer[_LINK.size :])
            if attributes(said.get(IFLA_LINKINFO, b"")).get(IFLA_INFO_KIND, b"").rstrip(b"\0") == b"bridge":
                found.append(os.fsdecode(said.get(IFLA_IFNAME, b"").rstrip(b"\0")))
        return found

    def networks(self) -> list:
        """IPv4 networks that addresses and routes of this machine name: a list of (address, prefix length)."""
        return self.addresses() + self.routes()

    def addresses(self) -> list:
        """This machine's IPv4 addresses: a list of (address, prefix length)."""
        found = []
        for answer in self.request(RTM_GETADDR, _ADDRESS.pack(socket.AF_INET, 0, 0, 0, 0), NLM_F_DUMP):
            prefix = _fields(_ADDRESS, answer)[1]
            value = attributes(answer[_ADDRESS.size :]).get(IFA_ADDRESS, b"")
            if len(value) == 4:
                found.append((socket.inet_ntoa(value), prefix))
        return found

    def routes(self) -> list:
        """Where this machine's IPv4 routes lead, but for the default one: a list of (address, prefix length)."""
        found = []
        for answer in self.request(RTM_GETROUTE, _ROUTE.pack(socket.AF_INET, 0, 0, 0, 0, 0, 0, 0, 0), NLM_F_DUMP):
            prefix = _fields(_ROUTE, answer)[1]
            value = attributes(answer[_ROUTE.size :]).get(RTA_DST, b"")
            if len(value) == 4:
                found.append((socket.inet_ntoa(value), prefix))
        return found

    def link(self, name: str):
        """One interface, as (index, its address on the wire); None where there is none of this name."""
        answer = self._link(name)
        if answer is None:
            return None
        return _fields(_LINK, answer)[2], attributes(answer[_LINK.size :]).get(IFLA_ADDRESS, b"")

    def is_active(self, name: str) -> bool:
        """Whether an interface sends what it is given; so of one that is gone."""
        answer = self._link(name)
        return answer is None or attributes(answer[_LINK.size :]).get(IFLA_OPERSTATE) == bytes([IF_OPER_UP])

    def _link(self, name):
        body = _LINK.pack(0, 0, 0, 0, 0) + attribute(IFLA_IFNAME, name)
        try:
            answers = self.request(RTM_GETLINK, body)
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise
            return None
        return answers[0] if answers else b""

    def add_bridge(self, name: str, hardware=None, mtu=None, up: bool = True) -> None:
        """A bridge, up. With `hardware` (six bytes) its address does not change with what is plugged in."""
        flag = IFF_UP if up else 0
        information = attribute(IFLA_LINKINFO, [attribute(IFLA_INFO_KIND, "bridge")])
        body = _LINK.pack(0, 0, 0, flag, flag) + attribute(IFLA_IFNAME, name)
        if hardware:
            body += attribute(IFLA_ADDRESS, hardware)
        if mtu:
            body += attribute(IFLA_MTU, mtu)
        self.request(RTM_NEWLINK, body + information, NLM_F_CREATE_NEW)

    def add_veth(self, name: str, master: int, peer: str, pid, hardware: bytes, namespace=None, mtu=None) -> None:
        """A pair of interfaces: `name`, up, a port of the bridge with index `master`; and `peer` where `pid` lives,
        or in the network namespace with the descriptor `namespace`.

        `hardware` is the peer's address on the wire, six bytes: one that is the same for the same IP address keeps
        neighbours that remember it from talking to an interface that is gone.
        """
        where = attribute(IFLA_NET_NS_PID, pid) if namespace is None else attribute(IFLA_NET_NS_FD, namespace)
        size = attribute(IFLA_MTU, mtu) if mtu else b""
        there = _LINK.pack(0, 0, 0, 0, 0) + attribute(IFLA_IFNAME, peer) + where
        there += attribute(IFLA_ADDRESS, hardware) + size
        data = attribute(IFLA_INFO_DATA, [attribute(VETH_INFO_PEER, there)])
        information = attribute(IFLA_LINKINFO, [attribute(IFLA_INFO_KIND, "veth"), data])
        here = _LINK.pack(0, 0, 0, IFF_UP, IFF_UP) + attribute(IFLA_IFNAME, name) + attribute(IFLA_MASTER, master)
        self.request(RTM_NEWLINK, here + size + information, NLM_F_CREATE_NEW)

    def move(self, index: int, namespace: int) -> None:
        """Give an interface to the network namespace with this descriptor, where it is down."""
        self.request(RTM_NEWLINK, _LINK.pack(0, 0, index, 0, 0) + attribute(IFLA_NET_NS_FD, namespace))

    def restrict_port(self, index: int, hardware: bytes, isolated: bool = False) -> None:
        """Of a port of a bridge: it is where `hardware` is, and nothing that comes in by it says otherwise.

        The bridge learns no addresses from it and sends nothing into it that is for addresses it does not know; an
        `isolated` port talks to the bridge itself alone (Linux 4.18).
        """
        settings = [(IFLA_BRPORT_LEARNING, 0), (IFLA_BRPORT_UNICAST_FLOOD, 0), (IFLA_BRPORT_ISOLATED, int(isolated))]
        body = _LINK.pack(socket.AF_BRIDGE, 0, index, 0, 0)
        body += attribute(IFLA_PROTINFO, [attribute(kind, bytes([value])) for kind, value in settings])
        self.request(RTM_SETLINK, body)
        body = _NEIGHBOUR.pack(socket.AF_BRIDGE, index, NUD_NOARP, NTF_MASTER, 0) + attribute(NDA_LLADDR, hardware)
        self.request(RTM_NEWNEIGH, body, NLM_F_CREATE_OR_REPLACE)

    def add_neighbour(self, index: int, address: str, hardware: bytes) -> None:
        """Who has `address` on that interface, so that nobody is asked and nobody else can answer."""
        family, value = packed(address)
        body = _NEIGHBOUR.pack(family, index, NUD_PERMANENT, 0, 0)
        body += attribute(NDA_DST, value) + attribute(NDA_LLADDR, hardware)
        self.request(RTM_NEWNEIGH, body, NLM_F_CREATE_OR_REPLACE)

    def delete_neighbour(self, index: int, address: str) -> None:
        """Forget who has `address`."""
        family, value = packed(address)
        self.request(RTM_DELNEIGH, _NEIGHBOUR.pack(family, index, 0, 0, 0) + attribute(NDA_DST, value))

    def set_up(self, index: int) -> None:
        """Switch an interface on."""
        self.request(RTM_NEWLINK, _LINK.pack(0, 0, index, IFF_UP, IFF_UP))

    def delete(self, index: int) -> None:
        """Take an interface away; with one of a pair goes the other."""
        self.request(RTM_DELLINK, _LINK.pack(0, 0, index, 0, 0))

    def add_address(self, index: int, address: str, prefix: int) -> None:
        """Give an interface an address, and the route to its network with it. An IPv6 address is usable at once."""
        family, local = packed(address)
        body = _ADDRESS.pack(family, prefix, IFA_F_NODAD if family == socket.AF_INET6 else 0, 0, index)
        body += attribute(IFA_LOCAL, local) + attribute(IFA_ADDRESS, local)
        if family == socket.AF_INET:
            hosts = (1 << (32 - prefix)) - 1
            body += attribute(IFA_BROADCAST, struct.pack("!I", struct.unpack("!I", local)[0] | hosts))
        self.request(RTM_NEWADDR, body, NLM_F_CREATE_NEW)

    def add_default_route(self, gateway: str) -> None:
        """Send by `gateway` what no other route takes of its family."""
        family, value = packed(gateway)
        body = _ROUTE.pack(family, 0, 0, 0, RT_TABLE_MAIN, RTPROT_BOOT, 0, RTN_UNICAST, 0)
        self.request(RTM_NEWROUTE, body + attribute(RTA_GATEWAY, value), NLM_F_CREATE_NEW)

    def has_chain(self, table: str, chain: str) -> bool:
        """Whether nftables has this chain in a table of its family inet. For a socket of NETLINK_NETFILTER."""
        body = struct.pack("=BBH", NFPROTO_INET, 0, 0)  # nfgenmsg: family, version, resource
        body += attribute(NFTA_CHAIN_TABLE, table) + attribute(NFTA_CHAIN_NAME, chain)
        try:
            return bool(self.request(NFT_MSG_GETCHAIN, body))
        except OSError:
            return False  # not there, or a kernel without nftables
