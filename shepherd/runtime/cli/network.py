"""`shepherd-runtime network VERB`: networks of containers, with Docker's options and fields."""

import argparse
import json
import sys

from shepherd.runtime.cli import several
from shepherd.runtime.errors import RuntimeFailure

HELP = "networks: create, ls, inspect, connect, disconnect, rm, prune"

_COLUMNS = [("NETWORK ID", "ID"), ("NAME", "Name"), ("DRIVER", "Driver"), ("SCOPE", "Scope")]


def run(arguments: list) -> int:
    several.help_of(arguments, "network VERB …")
    if not arguments or arguments[0] not in VERBS:
        raise RuntimeFailure("network needs one of the verbs connect, create, disconnect, inspect, ls, prune, rm")
    parser = argparse.ArgumentParser(
        "shepherd-runtime network " + arguments[0], description=VERBS[arguments[0]].__doc__
    )
    return VERBS[arguments[0]](parser, arguments[1:])


def _create(parser, arguments):
    """Make a network; its id is printed."""
    parser.add_argument("name", metavar="NETWORK")
    parser.add_argument("-d", "--driver", default="bridge", help="bridge, which is the only one")
    parser.add_argument("--subnet", action="append", default=[], metavar="SUBNET", help="one of IPv4, one of IPv6")
    parser.add_argument("--gateway", action="append", default=[], metavar="ADDRESS", help="the host's address in it")
    parser.add_argument("--ip-range", action="append", default=[], metavar="SUBNET", help="containers' addresses")
    parser.add_argument("--ipv6", action="store_true", help="IPv6 as well")
    parser.add_argument("--internal", action="store_true", help="nothing goes out, nothing comes in")
    parser.add_argument("--label", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("-o", "--opt", action="append", default=[], metavar="KEY=VALUE", help="options of the driver")
    options = parser.parse_args(arguments)

    from shepherd.runtime.network import networks
    from shepherd.runtime.network.records import Records

    wanted = networks.Wanted(options.name)
    wanted.driver = options.driver
    wanted.subnets, wanted.gateways, wanted.ranges = options.subnet, options.gateway, options.ip_range
    wanted.ipv6, wanted.internal = options.ipv6, options.internal
    wanted.labels, wanted.options = _pairs(options.label), _pairs(options.opt)
    sys.stdout.write(networks.create(Records(), wanted)["id"] + "\n")
    return 0


def _pairs(words):
    return {word.partition("=")[0]: word.partition("=")[2] for word in words}


def _ls(parser, arguments):
    """List networks."""
    parser.add_argument("-q", "--quiet", action="store_true", help="ids alone")
    parser.add_argument("--no-trunc", action="store_true", help="whole ids")
    parser.add_argument(
        "-f", "--filter", action="append", default=[], metavar="KEY=VALUE", help="name, id, driver, label"
    )
    parser.add_argument("--format", metavar="FORM", help="json, table, or a template like '{{.Name}}'")
    options = parser.parse_args(arguments)

    from shepherd.runtime.cli import image_output
    from shepherd.runtime.network import shown
    from shepherd.runtime.network.records import Records

    found = [one for one in shown.everything(Records()) if shown.matches(one, _filters(options.filter))]
    rows = [shown.row(one, options.no_trunc) for one in found]
    image_output.show(rows, _COLUMNS, options.format, "ID" if options.quiet else None)
    return 0


def _filters(words):
    found = []
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or key not in ("name", "id", "driver", "label", "scope"):
            raise RuntimeFailure("%s is no filter" % ascii(word)[:80], "one of: name=, id=, driver=, label=, scope=")
        found.append((key, value))
    return found


def _inspect(parser, arguments):
    """Show all that is known about networks."""
    parser.add_argument("networks", metavar="NETWORK", nargs="+")
    parser.add_argument("-f", "--format", metavar="FORM", help="json, or a template like '{{.Id}}' or '{{json .IPAM}}'")
    options = parser.parse_args(arguments)

    from shepherd.runtime.cli import image_output
    from shepherd.runtime.network import shown
    from shepherd.runtime.network.records import Records

    kept = Records()
    found = [shown.describe(kept, shown.find(kept, text)) for text in options.networks]
    if options.format and options.format != "json":
        sys.stdout.write("".join(image_output.fill(options.format, one) + "\n" for one in found))
    else:
        sys.stdout.write(json.dumps(found, indent=4) + "\n")
    return 0


def _connect(parser, arguments):
    """Connect a container to one more network, also while it runs."""
    parser.add_argument("network", metavar="NETWORK")
    parser.add_argument("container", metavar="CONTAINER")
    parser.add_argument("--alias", action="append", default=[], metavar="NAME", help="one more name in this network")
    parser.add_argument("--ip", metavar="ADDRESS", help="its address of IPv4")
    parser.add_argument("--ip6", metavar="ADDRESS", help="its address of IPv6")
    options = parser.parse_args(arguments)

    from shepherd.runtime.containers import networking

    given = {"ip": options.ip, "ip6": options.ip6, "aliases": options.alias}
    given = {name: value for name, value in given.items() if value}
    networking.connect(_container(options.container), options.network, given)
    return 0


def _disconnect(parser, arguments):
    """Take a container from a network, also while it runs."""
    parser.add_argument("network", metavar="NETWORK")
    parser.add_argument("container", metavar="CONTAINER")
    parser.add_argument("-f", "--force", action="store_true", help="without a meaning here, for callers of Docker's")
    options = parser.parse_args(arguments)

    from shepherd.runtime.containers import networking

    networking.disconnect(_container(options.container), options.network)
    return 0


def _container(word):
    from shepherd.runtime.containers import record as records
    from shepherd.runtime.containers.folders import Folders

    return records.find(Folders(), word)


def _rm(parser, arguments):
    """Take networks away that no container is on."""
    parser.add_argument("networks", metavar="NETWORK", nargs="+")
    parser.add_argument("-f", "--force", action="store_true", help="it is no error where one is not there")
    options = parser.parse_args(arguments)

    from shepherd.runtime.network import networks, release, shown
    from shepherd.runtime.network.records import Records

    kept = Records()
    status = 0
    for text in options.networks:
        try:
            if text in (networks.DEFAULT,) + shown.PSEUDO:
                raise RuntimeFailure("network %s is part of the runtime and stays" % text)
            release.remove_network(kept, networks.find(kept, text))
            sys.stdout.write(text + "\n")
        except RuntimeFailure as error:
            if options.force and error.message.startswith("no such network"):
                continue
            sys.stderr.write("shepherd-runtime: %s\n" % error.message)
            if error.hint:
                sys.stderr.write("  %s\n" % error.hint)
            status = 1
    return status


def _prune(parser, arguments):
    """Take away all networks that no container is on."""
    parser.add_argument("-f", "--force", action="store_true", help="ask nothing")
    parser.add_argument(
        "--filter", action="append", default=[], metavar="KEY=VALUE", help="label=KEY or label=KEY=VALUE"
    )
    options = parser.parse_args(arguments)
    if not options.force and sys.stdin.isatty():
        sys.stdout.write("This removes all networks that no container is on. Continue? [y/N] ")
        sys.stdout.flush()
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            return 0

    from shepherd.runtime.network import attach, networks, release, shown
    from shepherd.runtime.network.records import Records

    kept = Records()
    attach.sweep()
    removed = []
    for one in kept.networks():
        if one["name"] == networks.DEFAULT or release.users(kept, one):
            continue
        if not shown.matches(one, _filters(options.filter)):
            continue
        try:
            release.remove_network(kept, one)
            removed.append(one["name"])
        except RuntimeFailure:
            continue  # somebody came meanwhile
    if removed:
        sys.stdout.write("Deleted Networks:\n" + "".join(name + "\n" for name in removed))
    return 0


VERBS = {
    "connect": _connect,
    "create": _create,
    "disconnect": _disconnect,
    "inspect": _inspect,
    "list": _ls,
    "ls": _ls,
    "prune": _prune,
    "remove": _rm,
    "rm": _rm,
}
