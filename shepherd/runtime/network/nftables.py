"""Rules as nft(8) reads them: tables of our own, replaced in one transaction.

The table has an empty chain whose name is the checksum of the rules. So the kernel itself says, for the price of one
message, whether they are in place and are the ones that are wanted, also after somebody's `flush ruleset`.
"""

from binascii import crc32

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux.netlink import NETLINK_NETFILTER, Netlink
from shepherd.runtime.network.addresses import INET, INET6

CONDITIONS = {
    "source": 'iifname "%s"',
    "target": 'oifname "%s"',
    "not_target": 'oifname != "%s"',
    "to": "{ip} daddr %s",
    "origin": "{ip} saddr %s",
    "port": "%s dport %d",
    "established": "ct state established,related",
    "translated": "ct status dnat",
    "local": "fib daddr type local",
    "crosses": "iifname . oifname { %s }",
}
VERDICTS = {"pass": "accept", "drop": "drop", "masquerade": "masquerade"}
WORDS = {INET: "ip", INET6: "ip6", None: "inet"}
# a kernel before 5.2 translates addresses only in a table of one family
CHAINS = (
    ("forward", (None,), "type filter hook forward priority -10; policy accept;"),
    ("input", (None,), "type filter hook input priority -10; policy accept;"),
    ("prerouting", (INET, INET6), "type nat hook prerouting priority -100; policy accept;"),
    ("postrouting", (INET, INET6), "type nat hook postrouting priority 100; policy accept;"),
)


def works(program: str, name: str) -> bool:
    """Whether the kernel has nftables, and in it the family inet, which it may have been built without.

    Where our table of this name is there, that answers it; nft(8) tries one out where it is not.
    """
    try:
        with Netlink(protocol=NETLINK_NETFILTER) as netlink:
            if netlink.has_chain(name, "forward"):
                return True
    except OSError:
        return False
    from shepherd.runtime.network import rules

    try:
        rules.run([program, "-c", "-f", "-"], "table inet %s { }\n" % name)
        return True
    except RuntimeFailure:
        return False


def line(rule, family=None) -> str:
    """One rule, for a table of that family."""
    words = []
    if rule.family is not None and family is None:
        words.append("meta nfproto ipv%d" % (6 if rule.family == INET6 else 4))
    for name, value in rule.conditions.items():
        word = CONDITIONS[name].replace("{ip}", WORDS[rule.family])
        if name == "crosses":
            value = ", ".join('"%s" . "%s"' % (one, one) for one in value)
        words.append(word % value if "%" in word else word)
    verdict = rule.verdict
    if isinstance(verdict, tuple):
        verb, address, port = verdict
        words.append("%s to %s:%d" % (verb, "[%s]" % address if ":" in address else address, port))
    else:
        words.append(VERDICTS[verdict])
    return " ".join(words)


class Tables:
    """Our tables, all of one name."""

    def __init__(self, program: str, name: str):
        self._program = program
        self._name = name

    def apply(self, made: list) -> None:
        """Have these rules in place, and no others of ours. Raises RuntimeFailure."""
        text = self.text(made)
        mark = "rules_%08x" % crc32(text.encode("ascii"))
        with Netlink(protocol=NETLINK_NETFILTER) as netlink:
            if netlink.has_chain(self._name, mark):
                return
        from shepherd.runtime.network import rules

        rules.run([self._program, "-f", "-"], text.replace("{mark}", mark))

    def text(self, made: list) -> str:
        """The script; {mark} is where its checksum goes."""
        parts = []
        for family in (None, INET, INET6):
            start = "table %s %s" % (WORDS[family], self._name)
            parts += [start, "delete " + start, start + " {"]
            if family is None:
                parts.append(" chain {mark} { }")
            for chain, families, hook in CHAINS:
                if family in families:
                    fitting = [
                        rule
                        for rule in made
                        if rule.chain == chain and (family is None or rule.family in (None, family))
                    ]
                    parts.append(" chain %s {\n  %s" % (chain, hook))
                    parts += ["  " + line(rule, family) for rule in fitting]
                    parts.append(" }")
            parts.append("}")
        return "\n".join(parts) + "\n"

    def remove(self) -> None:
        """Leave nothing of ours."""
        from shepherd.runtime.network import rules

        try:
            for family in (None, INET, INET6):
                table = "table %s %s" % (WORDS[family], self._name)
                rules.run([self._program, "-f", "-"], "%s\ndelete %s\n" % (table, table))
        except RuntimeFailure:
            pass  # they were never there
