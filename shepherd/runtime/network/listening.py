"""Taking a port on the host."""

import _socket as socket  # socket itself costs an import of enum
import errno

from shepherd.runtime.errors import RuntimeFailure

IP_PKTINFO, IPV6_RECVPKTINFO, IPV6_PKTINFO = 8, 49, 50  # ip(7), ipv6(7)


def bind(port) -> tuple:
    """(socket, its port) for a Port of ports.py: the first of its candidates that is free. Raises RuntimeFailure."""
    family = socket.AF_INET6 if ":" in port.address else socket.AF_INET
    kind = socket.SOCK_STREAM if port.protocol == "tcp" else socket.SOCK_DGRAM
    said = None
    for number in port.candidates():
        one = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            if kind == socket.SOCK_STREAM:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            elif family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
            else:
                one.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
            one.bind((port.address, number))
            if kind == socket.SOCK_STREAM:
                one.listen(1024)
            return one, one.getsockname()[1]
        except OSError as error:
            one.close()
            said = error
            if error.errno != errno.EADDRINUSE:
                break
    hints = {
        errno.EADDRINUSE: "ss -lntup shows who has it",
        errno.EACCES: "ports below net.ipv4.ip_unprivileged_port_start (1024) are root's",
    }
    hint = hints.get(said.errno)
    raise RuntimeFailure("cannot publish %r: %s" % (port, said.strerror), hint)
