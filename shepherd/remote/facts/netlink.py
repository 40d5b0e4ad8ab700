"""Addresses and routes, asked of the kernel: netlink(7), rtnetlink(7)."""

import _socket
import struct

AF_INET, AF_INET6 = 2, 10
_AF_NETLINK, _SOCK_RAW, _NETLINK_ROUTE = 16, 3, 0
_RTM_GETADDR, _RTM_GETROUTE = 22, 26
_NLM_F_REQUEST, _NLM_F_DUMP = 1, 0x300
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_ADDRESS = struct.Struct("=BBBBI")  # ifaddrmsg: family, prefix length, flags, scope, index
_ROUTE = struct.Struct("=BBBBBBBBI")  # rtmsg: family, dst_len, src_len, tos, table, protocol, scope, type, flags
_IFA_ADDRESS, _IFA_LOCAL, _IFA_LABEL, _IFA_BROADCAST = 1, 2, 3, 4
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PREFSRC, _RTA_TABLE = 1, 4, 5, 7, 15
_LOCAL_TABLE, _RTN_LOCAL = 255, 2
_SCOPES = {0: "global", 200: "site", 253: "link", 254: "host"}


class Address:
    def __init__(self, family, index, label, address, prefix, scope, broadcast, peer):
        self.family = family
        self.index = index
        self.label = label
        self.address = address
        self.prefix = prefix
        self.scope = scope
        self.broadcast = broadcast
        self.peer = peer


class Route:
    def __init__(self, index, gateway, source):
        self.index = index
        self.gateway = gateway
        self.source = source


class Netlink:
    """One conversation with the kernel."""

    def __init__(self):
        self._socket = _socket.socket(_AF_NETLINK, _SOCK_RAW, _NETLINK_ROUTE)
        self._socket.bind((0, 0))

    def close(self):
        self._socket.close()

    def _ask(self, kind, flags, body):
        """The bodies of the kernel's answers. Raises OSError for its error."""
        self._socket.send(_HEADER.pack(_HEADER.size + len(body), kind, _NLM_F_REQUEST | flags, 1, 0) + body)
        while True:
            data = self._socket.recv(65536)
            at = 0
            while at < len(data):
                size, kind, _, _, _ = _HEADER.unpack_from(data, at)
                body = data[at + _HEADER.size : at + size]
                if kind == _NLMSG_DONE:
                    return
                if kind == _NLMSG_ERROR:
                    number = struct.unpack_from("=i", body)[0]
                    if number:
                        raise OSError(-number, "netlink")
                    return
                yield body
                if not flags & _NLM_F_DUMP:
                    return
                at += (size + 3) & ~3

    def addresses(self):
        """Every Address, in the kernel's order."""
        for body in self._ask(_RTM_GETADDR, _NLM_F_DUMP, _ADDRESS.pack(0, 0, 0, 0, 0)):
            family, prefix, _, scope, index = _ADDRESS.unpack_from(body)
            if family not in (AF_INET, AF_INET6):
                continue
            found = _attributes(body, _ADDRESS.size)
            remote = found.get(_IFA_ADDRESS)
            local = found.get(_IFA_LOCAL, remote)
            yield Address(
                family,
                index,
                found.get(_IFA_LABEL, b"").rstrip(b"\0").decode(),
                _socket.inet_ntop(family, local),
                prefix,
                _SCOPES.get(scope, str(scope)),
                _socket.inet_ntop(family, found[_IFA_BROADCAST]) if _IFA_BROADCAST in found else "",
                remote != local,
            )

    def route(self, family, destination):
        """The Route that a packet would take, or None where there is none."""
        packed = _socket.inet_pton(family, destination)
        body = _ROUTE.pack(family, len(packed) * 8, 0, 0, 0, 0, 0, 0, 0)
        body += _ATTRIBUTE.pack(_ATTRIBUTE.size + len(packed), _RTA_DST) + packed
        try:
            for answer in self._ask(_RTM_GETROUTE, 0, body):
                found = _attributes(answer, _ROUTE.size)
                if _RTA_OIF not in found:
                    return None
                gateway, source = (
                    _socket.inet_ntop(family, found[name]) if len(found.get(name, b"")) == len(packed) else None
                    for name in (_RTA_GATEWAY, _RTA_PREFSRC)
                )
                return Route(struct.unpack("=I", found[_RTA_OIF])[0], gateway, source)
        except OSError:
            return None

    def local(self, family):
        """The addresses and networks that are this host, as text."""
        for body in self._ask(_RTM_GETROUTE, _NLM_F_DUMP, _ROUTE.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)):
            of, length, _, _, table, _, _, kind, _ = _ROUTE.unpack_from(body)
            found = _attributes(body, _ROUTE.size)
            if _RTA_TABLE in found:
                table = struct.unpack("=I", found[_RTA_TABLE])[0]
            if (of, table, kind) != (family, _LOCAL_TABLE, _RTN_LOCAL) or _RTA_DST not in found:
                continue
            destination = _socket.inet_ntop(family, found[_RTA_DST])
            yield destination if length == len(found[_RTA_DST]) * 8 else "%s/%d" % (destination, length)


def _attributes(body, at):
    found = {}
    while at + _ATTRIBUTE.size <= len(body):
        size, kind = _ATTRIBUTE.unpack_from(body, at)
        if size < _ATTRIBUTE.size:
            break
        found[kind & 0x3FFF] = body[at + _ATTRIBUTE.size : at + size]
        at += (size + 3) & ~3
    return found
