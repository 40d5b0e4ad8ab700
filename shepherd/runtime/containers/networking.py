"""`network connect` and `network disconnect`: in what is declared of a container, and in it while it runs."""

from shepherd.runtime.bundle import document
from shepherd.runtime.bundle import state as processes
from shepherd.runtime.containers import launch, recovery, starting
from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.network import joining, networks
from shepherd.runtime.network.records import Records


def connect(record, text: str, given: dict) -> None:
    """Connect it to one more network, now if it runs, and at each start. `given`: "aliases", "ip", "ip6", "mac".

    Raises RuntimeFailure, and nothing is changed then.
    """
    with record:
        recovery.recover(record)
        options = _options(record)
        network = networks.find(Records(), text)
        name = network["name"]
        if name in options["network"]:
            raise RuntimeFailure("container %s is on network %s already" % (record.name, name))
        if given.get("aliases") and name == networks.DEFAULT:
            raise RuntimeFailure("--alias needs a network that was made with `network create`")
        options["network"].append(name)
        options["connected"][name] = given
        joining.check(Records(), joining.Mode(options), record.name, options)
        if _runs(record):
            from shepherd.runtime.network import connecting

            _keep_shown(record, connecting.connect(record.id, network, options))
        _keep(record, options)


def disconnect(record, text: str) -> None:
    """Take it from a network, now if it runs, and for good. Raises RuntimeFailure where it is on none of that name."""
    with record:
        recovery.recover(record)
        options = _options(record)
        name = text if text in options["network"] else networks.find(Records(), text)["name"]
        if name not in options["network"]:
            raise RuntimeFailure("container %s is not on network %s" % (record.name, name))
        options["network"].remove(name)
        options["connected"].pop(name, None)
        if _runs(record):
            from shepherd.runtime.network import connecting

            _keep_shown(record, connecting.disconnect(record.id, name))
        _keep(record, options)


def _options(record):
    """Its options for the network's part, in which each network has its own."""
    if not record.is_attached:
        mode = record.host["NetworkMode"]
        hint = "it was made with --network %s" % mode
        raise RuntimeFailure("container %s has no network of its own" % record.name, hint)
    options = dict(record.config.get("Networking") or {})
    kept = Records()
    found = [networks.find(kept, one)["name"] for one in joining.Mode(options).networks]
    connected = dict(options.get("connected") or {})
    for number, name in enumerate(found):
        connected.setdefault(name, joining.given_for(options, name, number == 0))
    for name in ("ip", "ip6", "mac", "aliases"):
        options.pop(name, None)
    options.update(network=found, connected=connected)
    return options


def _runs(record):
    return record.state()["Status"] in ("running", "paused")


def _keep_shown(record, connections):
    processes.write(starting.connections(record), document.dumps(connections))


def _keep(record, options):
    record.config["Networking"] = options
    record.save()
    connection = launch.connect(record)
    if connection is not None:
        connection.say(b"u")  # its monitor reads what is declared again
        connection.close()
