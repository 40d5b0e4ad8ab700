"""Addresses and subnets as numbers, IPv4 and IPv6. (Python's ipaddress takes longer to import than this to run.)"""

import _socket as socket

from shepherd.runtime.errors import RuntimeFailure

INET, INET6 = socket.AF_INET, socket.AF_INET6
BITS = {INET: 32, INET6: 128}
_DIGITS = frozenset("0123456789")


def number_of(text: str, most: int) -> int:
    """A number in plain digits, of 0 to `most`. Raises ValueError."""
    if not 0 < len(text) <= len(str(most)) or not _DIGITS.issuperset(text) or int(text) > most:
        raise ValueError(text)
    return int(text)


def parse(text: str) -> tuple:
    """(family, number) of an address in digits. Raises RuntimeFailure."""
    family = INET6 if ":" in text else INET
    try:
        return family, int.from_bytes(socket.inet_pton(family, text), "big")
    except (OSError, ValueError):
        raise RuntimeFailure("%s is no IP address" % ascii(text)[:80]) from None


def text_of(family: int, number: int) -> str:
    """An address in digits, in its shortest form."""
    return socket.inet_ntop(family, number.to_bytes(BITS[family] // 8, "big"))


def canonical(text: str) -> str:
    """An address in its shortest form. Raises RuntimeFailure."""
    return text_of(*parse(text))


class Subnet:
    """A network by its first address and the length of its prefix."""

    def __init__(self, family: int, base: int, prefix: int):
        self.family = family
        self.prefix = prefix
        self.size = 1 << (BITS[family] - prefix)
        self.base = base & ~(self.size - 1)

    @classmethod
    def parse(cls, text: str) -> "Subnet":
        """`10.1.0.0/24`, `fd00::/64`. Raises RuntimeFailure, also where there are bits beyond the prefix."""
        address, slash, length = text.partition("/")
        family, number = parse(address) if slash else (INET, 0)
        try:
            prefix = number_of(length, BITS[family])
        except ValueError:
            raise RuntimeFailure("%s is no subnet" % ascii(text)[:80], "such as 10.1.0.0/24 or fd00:1::/64") from None
        subnet = cls(family, number, prefix)
        if subnet.base != number:
            raise RuntimeFailure("%s is no subnet" % text, "the network with this address is %s" % subnet)
        return subnet

    def __str__(self) -> str:
        return "%s/%d" % (text_of(self.family, self.base), self.prefix)

    def __contains__(self, address: tuple) -> bool:
        family, number = address
        return family == self.family and self.base <= number < self.base + self.size

    def overlaps(self, other: "Subnet") -> bool:
        """Whether they have an address in common."""
        if self.family != other.family:
            return False
        return self.base < other.base + other.size and other.base < self.base + self.size

    def address(self, number: int) -> str:
        """The address of that number in it, in digits."""
        return text_of(self.family, self.base + number)

    def usable(self) -> range:
        """Numbers that hosts may have: neither the network's own nor the broadcast address."""
        if self.family == INET6:
            return range(1, min(self.size, 1 << 62))
        return range(1, self.size - 1)
