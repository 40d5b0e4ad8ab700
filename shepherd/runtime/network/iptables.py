"""Rules as iptables-restore(8) reads them: chains of our own, each jumped to from one of the kernel's.

`--noflush` with a chain's own line empties that chain and no other, and a table changes as a whole.
"""

import os

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.network.addresses import INET, INET6

CONDITIONS = {
    "source": "-i %s",
    "target": "-o %s",
    "not_target": "! -o %s",
    "to": "-d %s",
    "origin": "-s %s",
    "port": "-p {protocol} -m {protocol} --dport {port}",
    "established": "-m conntrack --ctstate ESTABLISHED,RELATED",
    "translated": "-m conntrack --ctstate DNAT",
    "local": "-m addrtype --dst-type LOCAL",
    "crosses": "-m physdev --physdev-is-bridged",
}
VERDICTS = {"pass": "-j RETURN", "drop": "-j DROP", "masquerade": "-j MASQUERADE"}
PROGRAMS = {INET: "iptables", INET6: "ip6tables"}
CHAINS = {"filter": ("forward", "input"), "nat": ("prerouting", "postrouting")}


def line(rule) -> str:
    """One rule, without its chain."""
    words = []
    for name, value in rule.conditions.items():
        word = CONDITIONS[name]
        if name == "port":
            words.append(word.format(protocol=value[0], port=value[1]))
        else:
            words.append(word % value if "%" in word else word)
    if isinstance(rule.verdict, tuple):
        _verb, address, port = rule.verdict
        words.append("-j DNAT --to-destination %s:%d" % ("[%s]" % address if ":" in address else address, port))
    else:
        words.append(VERDICTS[rule.verdict])
    return " ".join(words)


class Chains:
    """Our chains: NAME-FORWARD and so on."""

    def __init__(self, name: str):
        self._name = name.upper()

    def _chain(self, chain):
        return "%s-%s" % (self._name, chain.upper())

    def _families(self):
        from shepherd.runtime.network import rules

        for family in (INET, INET6):
            program = rules.find_program(PROGRAMS[family] + "-restore")
            if program and (family == INET or os.path.exists("/proc/sys/net/ipv6")):
                yield family, program, rules.find_program(PROGRAMS[family])

    def text(self, made: list, family: int) -> str:
        """What iptables-restore reads."""
        parts = []
        for table, chains in CHAINS.items():
            parts.append("*" + table)
            parts += [":%s - [0:0]" % self._chain(chain) for chain in chains]
            for chain in chains:
                fitting = [rule for rule in made if rule.chain == chain and rule.family in (family, None)]
                parts += ["-A %s %s" % (self._chain(chain), line(rule)) for rule in fitting]
            parts.append("COMMIT")
        return "\n".join(parts) + "\n"

    def apply(self, made: list) -> None:
        """Have these rules in place, and no others of ours. Raises RuntimeFailure."""
        from shepherd.runtime.network import rules

        for family, restore, program in self._families():
            try:
                rules.run([restore, "-w", "--noflush"], self.text(made, family))
            except RuntimeFailure:
                known = [rule for rule in made if "crosses" not in rule.conditions]
                if len(known) == len(made):
                    raise
                rules.run([restore, "-w", "--noflush"], self.text(known, family))  # a kernel without physdev
            for table, chains in CHAINS.items():
                for chain in chains:
                    jump = [chain.upper(), "-j", self._chain(chain)]
                    try:
                        rules.run([program, "-w", "-t", table, "-C"] + jump)
                    except RuntimeFailure:
                        rules.run([program, "-w", "-t", table, "-I"] + jump)

    def remove(self) -> None:
        """Leave nothing of ours."""
        from shepherd.runtime.network import rules

        for _family, _restore, program in self._families():
            for table, chains in CHAINS.items():
                for chain in chains:
                    ours = self._chain(chain)
                    for words in (["-D", chain.upper(), "-j", ours], ["-F", ours], ["-X", ours]):
                        try:
                            rules.run([program, "-w", "-t", table] + words)
                        except RuntimeFailure:
                            pass  # it was not there
