"""A container as it is shown: states and sentences with Docker's words."""

import os
import time

from shepherd.runtime.bundle import document
from shepherd.runtime.bundle import state as processes
from shepherd.runtime.containers import clock, health
from shepherd.runtime.errors import RuntimeFailure


def state(record) -> dict:
    """state.json as `docker inspect` has it, with what only the running container knows."""
    found = record.state()
    if found["Status"] == "running" and is_paused(record):
        found["Status"] = "paused"
    if found["Status"] in ("running", "paused"):
        about = health.read(record)
        if about is not None:
            found["Health"] = about
    return found


def is_paused(record) -> bool:
    """Whether its processes are stopped where they are."""
    try:
        return processes.is_paused(record.folders.started, record.id)
    except RuntimeFailure:
        return False


def inspect_state(found: dict) -> dict:
    """The State of `docker inspect`."""
    status = found["Status"]
    made = {
        "Status": status,
        "Running": status in ("running", "paused", "restarting"),
        "Paused": status == "paused",
        "Restarting": status == "restarting",
        "OOMKilled": found["OOMKilled"],
        "Dead": False,
        "Pid": found["Pid"] if status in ("running", "paused") else 0,
        "ExitCode": found["ExitCode"],
        "Error": found["Error"],
        "StartedAt": found["StartedAt"],
        "FinishedAt": found["FinishedAt"],
    }
    if "Health" in found:
        made["Health"] = found["Health"]
    return made


def sentence(found: dict) -> str:
    """`Up 3 minutes (healthy)`, `Exited (1) 2 hours ago`."""
    status = found["Status"]
    if status in ("running", "paused"):
        text = "Up " + _since(found["StartedAt"])
        if "Health" in found:
            kind = found["Health"]["Status"]
            text += " (%s)" % ("health: starting" if kind == "starting" else kind)
        return text + (" (Paused)" if status == "paused" else "")
    if status == "restarting":
        return "Restarting (%d) %s ago" % (found["ExitCode"], _since(found["FinishedAt"]))
    if status == "exited":
        return "Exited (%d) %s ago" % (found["ExitCode"], _since(found["FinishedAt"]))
    return status.capitalize()


def _since(stamp):
    return clock.ago(max(0.0, time.time() - clock.seconds_of(stamp)))


def connections(record, found: dict) -> dict:
    """How a running container is connected: {"networks": {name: …}, "ports": […]}."""
    if found["Status"] in ("running", "paused"):
        path = os.path.join(record.folders.running(record.id), "network.json")
        try:
            with open(path, "rb") as file:
                return document.loads(file.read(), path)
        except OSError:
            pass  # it is not the network's part that connected it
    return {"networks": {}, "ports": []}


def ports(record, found: dict) -> str:
    """`127.0.0.1:8080->80/tcp, …`"""
    shown = []
    for one in connections(record, found)["ports"]:
        address = "[%s]" % one["address"] if ":" in one["address"] else one["address"]
        shown.append("%s:%d->%d/%s" % (address, one["host"], one["container"], one["protocol"]))
    return ", ".join(shown)


def inspect(record) -> dict:
    """All of it, with Docker's names."""
    config, found = record.config, state(record)
    command = config["Config"]["Entrypoint"] + config["Config"]["Cmd"]
    mounts = []
    for one in config.get("Mounts") or []:
        keys = ("Type", "Name", "Source", "Destination", "Driver", "Mode", "RW", "Propagation")
        mounts.append({key: one[key] for key in keys if one.get(key) is not None})
    return {
        "Id": record.id,
        "Created": config["Created"],
        "Path": command[0],
        "Args": command[1:],
        "State": inspect_state(found),
        "Image": config["Image"],
        "ResolvConfPath": record.path("resolv.conf"),
        "HostnamePath": record.path("hostname"),
        "HostsPath": record.path("hosts"),
        "LogPath": record.log_path,
        "Name": "/" + record.name,
        "RestartCount": found["RestartCount"],
        "Driver": "overlay",
        "Platform": "linux",
        "ExecIDs": None,
        "HostConfig": dict(
            config["HostConfig"],
            Binds=_binds(config),
            PortBindings=_published((config.get("Networking") or {}).get("ports") or []),
        ),
        "GraphDriver": {
            "Name": "overlay",
            "Data": {
                "LowerDir": ":".join(
                    os.path.join(record.folders.root, "layers", name) for name in reversed(config["Layers"])
                ),
                "UpperDir": record.path("upper"),
                "WorkDir": record.path("work"),
            },
        },
        "Mounts": mounts,
        "Config": config["Config"],
        "NetworkSettings": _network(record, found),
    }


def _binds(config):
    found = []
    for one in config.get("Mounts") or []:
        if one["Type"] == "bind" or (one["Type"] == "volume" and not one.get("Anonymous")):
            found.append("%s:%s%s" % (one.get("Name") or one["Source"], one["Destination"], "" if one["RW"] else ":ro"))
    return found or None


def _published(words):
    """PortBindings, of the words of -p."""
    found = {}
    for text in words:
        outside, _, inside = text.rpartition(":")
        port, _, protocol = inside.partition("/")
        address, _, host = outside.rpartition(":")
        found.setdefault("%s/%s" % (port, protocol or "tcp"), []).append({"HostIp": address, "HostPort": host})
    return found


def _network(record, found):
    about = connections(record, found)
    shown = {"Ports": {}, "Networks": {}}
    for one in about["ports"]:
        name = "%d/%s" % (one["container"], one["protocol"])
        shown["Ports"].setdefault(name, []).append({"HostIp": one["address"], "HostPort": str(one["host"])})
    for name, one in about["networks"].items():
        shown["Networks"][name] = {
            "IPAddress": one.get("address") or "",
            "GlobalIPv6Address": one.get("address6") or "",
            "MacAddress": one.get("mac") or one.get("hardware") or "",
            "Gateway": one.get("gateway") or "",
        }
        shown.setdefault("IPAddress", one.get("address") or "")
    if not shown["Networks"]:
        shown["Networks"] = {name: {} for name in _declared(record)}
    return shown


def _declared(record):
    """The names of the networks that it is to be on."""
    asked = (record.config.get("Networking") or {}).get("network")
    if not record.is_attached or asked is None:
        return [record.host["NetworkMode"]]
    return [asked] if isinstance(asked, str) else asked
