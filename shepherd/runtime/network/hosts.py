"""Who is told of whom: the hosts files of containers on one network. To be called with the records' lock."""

from shepherd.runtime.network import names, networks


class Neighbours:
    """The containers of networks, each read once. `known`: records by their ids; None for one that is leaving."""

    def __init__(self, kept, known: dict):
        self._kept = kept
        self._known = known
        self._members = {}

    def of(self, network: str) -> list:
        """The records of all containers on a network, in the order of their ids."""
        if network not in self._members:
            self._members[network] = sorted(
                {self._kept.holder(network, address) for address in self._kept.leases(network)} - {""}
            )
        return [record for record in map(self._record, self._members[network]) if record is not None]

    def _record(self, identity):
        if identity not in self._known:
            self._known[identity] = self._kept.container(identity)
        return self._known[identity]

    def write(self, found: list) -> None:
        """Write the hosts file of each container on the networks `found` that have names."""
        touched = {}
        for network in found:
            if network["name"] != networks.DEFAULT:
                touched.update((one["container"], one) for one in self.of(network["name"]))
        for one in touched.values():
            self.write_one(one)

    def write_one(self, record: dict) -> None:
        """Write the hosts file of one container: itself, and those it shares a network with."""
        lines = []
        for name, shown in record["networks"].items():
            words = [record["hostname"]]
            lines += _lines(shown, words if name == networks.DEFAULT else words + _names(record, shown))
        for name in record["networks"]:
            for other in self.of(name) if name != networks.DEFAULT else ():
                if other["container"] != record["container"] and name in other["networks"]:
                    lines += _lines(other["networks"][name], _names(other, other["networks"][name]))
        if not record["networks"]:
            lines.append(("127.0.0.1", [record["hostname"]]))
        gateway = next((shown["gateway"] for shown in record["networks"].values() if shown["gateway"]), None)
        try:
            names.write(record["folder"], "hosts", names.hosts(names.parse_hosts(record["add_hosts"]), lines, gateway))
        except OSError:
            pass  # its folder is gone, or is not as we made it: it is nobody's neighbour for long


def _names(record, shown):
    shared = [] if record.get("held") else shown["aliases"]  # which another one answers to for now
    return [record["name"]] + shared + [record["container"][:12]]


def _lines(shown, words):
    return [(shown[key], words) for key in ("address", "address6") if shown.get(key)]
