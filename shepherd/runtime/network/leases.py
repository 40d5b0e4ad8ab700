"""Which container has which address. Everything here is called with the records' lock held.

A lease is a file whose name is the address, made with O_EXCL: the kernel lets one have it, whoever forgot the lock.
"""

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.network import addresses, networks
from shepherd.runtime.network.addresses import INET, INET6, Subnet


def choose(kept, network: dict, asked=(), release=None) -> dict:
    """{family: address} for a new container, of all families that the network has; nothing is taken yet.

    `asked`: addresses that it has to get. `release()` frees what dead containers have; it is called where an address
    is taken, or none is left. Raises RuntimeFailure.
    """
    wanted = {}
    for text in asked:
        family, number = addresses.parse(text)
        entry = networks.subnet(network, family)
        if entry is None or (family, number) not in Subnet.parse(entry["subnet"]):
            raise RuntimeFailure("%s is no address of network %s" % (text, network["name"]))
        wanted[family] = addresses.text_of(family, number)
    chosen = {}
    taken = kept.leases(network["name"])
    for entry in network["subnets"]:
        one = Subnet.parse(entry["subnet"])
        if one.family in wanted:
            address = _asked(kept, network, entry, one, wanted[one.family], taken, release)
        else:
            address = _free(network, entry, one, taken, chosen)
            if address is None and release is not None:
                release()
                taken = kept.leases(network["name"])
                address = _free(network, entry, one, taken, chosen)
            if address is None:
                raise RuntimeFailure("network %s has no free address in %s" % (network["name"], _range(entry)))
        chosen[one.family] = address
    return chosen


def _asked(kept, network, entry, one, address, taken, release):
    number = addresses.parse(address)[1] - one.base
    if number not in one.usable() or address == entry["gateway"]:
        raise RuntimeFailure("%s is no address for a container in %s" % (address, one))
    if address in taken and release is not None:
        release()
        taken = kept.leases(network["name"])
    if address in taken:
        raise RuntimeFailure(
            "%s in network %s is container %s's" % (address, network["name"], kept.holder(network["name"], address))
        )
    return address


def _range(entry):
    return entry["range"] or entry["subnet"]


def _free(network, entry, one, taken, chosen):
    """The first free address. That of IPv6 has the number of the one of IPv4, where that is free: easy to read."""
    inner = Subnet.parse(_range(entry))
    offset = inner.base - one.base
    usable = one.usable()
    numbers = range(max(usable.start, offset), min(usable.stop, offset + inner.size))
    if one.family == INET6 and INET in chosen:
        first = Subnet.parse(networks.subnet(network, INET)["subnet"])
        same = addresses.parse(chosen[INET])[1] - first.base
        if same in numbers and one.address(same) not in taken and one.address(same) != entry["gateway"]:
            return one.address(same)
    for number in numbers:
        address = one.address(number)
        if address not in taken and address != entry["gateway"]:
            return address
    return None
