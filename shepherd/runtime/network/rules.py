"""What the kernel's packet filter is to do for our networks: made anew from the records, and put in place at once.

A rule is a chain, conditions and a verdict; nftables.py and iptables.py write it in their language. Our rules only
ever drop, or leave the decision to others: "pass" ends our own chain, and the host's own rules still see the packet.
So whatever the host's firewall drops stays dropped.

    forward      between interfaces      input     to the host itself
    prerouting   new destinations        postrouting   new sources

Where there is neither program nothing is forwarded: containers reach their network and the host, and no further.
"""

import os

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.network import networks, records
from shepherd.runtime.network.addresses import INET, INET6

LINK_LOCAL = "169.254.0.0/16"  # RFC 3927; where clouds keep the machine's credentials
DEFAULT_NAME = "shepherd"


class Rule:
    """One rule. `conditions`: a dict of the keys that CONDITIONS of nftables.py and iptables.py have."""

    def __init__(self, chain: str, verdict, family=None, **conditions):
        self.chain = chain
        self.verdict = verdict  # "pass", "drop", "masquerade" or ("dnat", address, port)
        self.family = family  # None: of both
        self.conditions = conditions


def make(found: list, containers: list, forwards: list, others: list) -> list:
    """The rules for these networks and containers.

    `forwards`: the families, "ipv4" and "ipv6", of which the host forwards packets only because of us. `others`: other
    bridges, of which the packet filter is shown what crosses one: nobody forwards that.
    """
    made = []
    for one in found:
        bridge = one["bridge"]
        made.append(Rule("forward", "pass", source=bridge, target=bridge))
        if one["internal"]:
            made += [Rule("forward", "drop", source=bridge), Rule("forward", "drop", target=bridge)]
            for entry in one["subnets"]:
                family = INET6 if ":" in entry["subnet"] else INET
                for allowed in (entry["subnet"],) + (("fe80::/10", "ff00::/8") if family == INET6 else ()):
                    made.append(Rule("input", "pass", family, source=bridge, to=allowed))
            made.append(Rule("input", "drop", source=bridge))
    made.append(Rule("forward", "pass", established=True))
    bridges = [one["bridge"] for one in found if not one["internal"]]
    for one in found:
        if not one["internal"]:
            made.append(Rule("forward", "pass", target=one["bridge"], translated=True))
            made.append(Rule("forward", "drop", target=one["bridge"]))
            if networks.option(one, "link_local", "false") == "false":
                for protocol in ("udp", "tcp"):  # some clouds have their name server there
                    port = (protocol, 53)
                    made.append(Rule("forward", "pass", INET, source=one["bridge"], to=LINK_LOCAL, port=port))
                made.append(Rule("forward", "drop", INET, source=one["bridge"], to=LINK_LOCAL))
    # after all that: a network's rules say what may go to it before another's say what may leave that
    made += [Rule("forward", "pass", source=bridge) for bridge in bridges]
    if others:
        made.append(Rule("forward", "pass", crosses=others))
    made += [Rule("forward", "drop", INET6 if family == "ipv6" else INET) for family in forwards]
    made += [Rule("prerouting", "pass", source=one["bridge"]) for one in found]
    for container in containers:
        made += _translations(container, found)
    for one in found:
        if not one["internal"] and networks.option(one, "enable_ip_masquerade", "true") == "true":
            for entry in one["subnets"]:
                family = INET6 if ":" in entry["subnet"] else INET
                rule = Rule("postrouting", "masquerade", family, origin=entry["subnet"], not_target=one["bridge"])
                made.append(rule)
    return made


def _translations(container, found):
    """New destinations for what is published by a network with shepherd.publish=nat."""
    for name, place in container["networks"].items():
        network = next((one for one in found if one["name"] == name), None)
        if network is None or not networks.is_translated(network):
            continue
        for port in container.get("ports") or []:
            family = INET6 if ":" in port["address"] else INET
            address = place.get("address6" if family == INET6 else "address")
            if address is None or port["address"].startswith("127.") or port["address"] == "::1":
                continue
            conditions = {"port": (port["protocol"], port["host"])}
            if port["address"] in ("0.0.0.0", "::"):
                conditions["local"] = True
            else:
                conditions["to"] = port["address"]
            yield Rule("prerouting", ("dnat", address, port["container"]), family, **conditions)
        return


def find_program(name: str):
    """The path of a program; administrators' folders are looked into whatever PATH says."""
    for folder in os.environ.get("PATH", "").split(":") + ["/usr/sbin", "/sbin", "/usr/bin"]:
        path = os.path.join(folder, name)
        if folder.startswith("/") and os.access(path, os.X_OK):
            return path
    return None


def backend(kept: records.Records):
    """What writes rules on this host; None where there is nothing that can."""
    choice = os.environ.get("SHEPHERD_RUNTIME_FIREWALL", "")
    if choice not in ("", "nft", "iptables", "none"):
        raise RuntimeFailure("SHEPHERD_RUNTIME_FIREWALL: should be nft, iptables or none")
    if choice in ("", "nft"):
        from shepherd.runtime.network import nftables

        program = find_program("nft")
        if program and nftables.works(program, name_of(kept)):
            return nftables.Tables(program, name_of(kept))
    if choice in ("", "iptables"):
        from shepherd.runtime.network import iptables

        program = find_program("iptables-restore")
        if program:
            return iptables.Chains(name_of(kept))
    if choice not in ("", "none"):
        raise RuntimeFailure("SHEPHERD_RUNTIME_FIREWALL is %s, which is not here" % choice)
    return None


def name_of(kept: records.Records) -> str:
    """The name of our tables: another one for another state, so that neither takes the other's away."""
    if kept.is_default:
        return DEFAULT_NAME
    from binascii import crc32

    return "%s_%06x" % (DEFAULT_NAME, crc32(os.fsencode(kept.folder)) & 0xFFFFFF)


def run(words: list, text: str = "") -> str:
    """Run a program of the host's with `text` on its standard input. Raises RuntimeFailure with what it said."""
    import subprocess

    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
    try:
        done = subprocess.run(words, input=text.encode("ascii"), env=environment, cwd="/", timeout=60, **pipes)
    except subprocess.TimeoutExpired:
        raise RuntimeFailure("%s has not ended after a minute" % os.path.basename(words[0])) from None
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise RuntimeFailure("%s failed: %s" % (os.path.basename(words[0]), said[0] if said else done.returncode))
    return done.stdout.decode("utf-8", "replace")
