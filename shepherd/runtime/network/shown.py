"""Networks in Docker's words: what `network ls` and `network inspect` show. `none` and `host` are shown, too."""

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux import user_namespace
from shepherd.runtime.network import networks, records
from shepherd.runtime.network.release import users

PSEUDO = ("host", "none")


def everything(kept: records.Records) -> list:
    """The records of all networks, with those that are always there."""
    if not user_namespace.of_user():
        networks.default(kept)
    return sorted(kept.networks() + [_pseudo(name) for name in PSEUDO], key=lambda one: one["name"])


def find(kept: records.Records, text: str) -> dict:
    """A network's record. Raises RuntimeFailure."""
    return _pseudo(text) if text in PSEUDO else networks.find(kept, text)


def _pseudo(name):
    from binascii import hexlify

    return {
        "id": hexlify(name.encode()).decode().ljust(64, "0"),
        "name": name,
        "created": "",
        "driver": "null" if name == "none" else name,
        "internal": False,
        "labels": {},
        "options": {},
        "subnets": [],
    }


def matches(record: dict, filters: list) -> bool:
    """Whether it is one that (key, value) pairs of `--filter` ask for; of one key any is enough, but for labels."""
    asked = {}
    for key, value in filters:
        asked.setdefault(key, []).append(value)
    labels = record["labels"]
    checks = {
        "name": lambda values: any(value in record["name"] for value in values),
        "id": lambda values: any(record["id"].startswith(value) for value in values),
        "driver": lambda values: record["driver"] in values,
        "scope": lambda values: "local" in values,
        "label": lambda values: all(
            value.partition("=")[0] in labels
            and ("=" not in value or labels[value.partition("=")[0]] == value.partition("=")[2])
            for value in values
        ),
    }
    unknown = [key for key in asked if key not in checks]
    if unknown:
        raise RuntimeFailure("no such filter: %s" % unknown[0])
    return all(checks[key](values) for key, values in asked.items())


def row(record: dict, whole: bool) -> dict:
    """The fields of `docker network ls --format json`: all are texts."""
    return {
        "CreatedAt": record["created"],
        "Driver": record["driver"],
        "ID": record["id"] if whole else record["id"][:12],
        "IPv4": "true",
        "IPv6": _word(len(record["subnets"]) > 1),
        "Internal": _word(record["internal"]),
        "Labels": ",".join("%s=%s" % pair for pair in sorted(record["labels"].items())),
        "Name": record["name"],
        "Scope": "local",
    }


def _word(value):
    return "true" if value else "false"


def describe(kept: records.Records, record: dict) -> dict:
    """The fields of `docker network inspect`."""
    config = []
    for entry in record["subnets"]:
        config.append({"Subnet": entry["subnet"], "Gateway": entry["gateway"]})
        if entry["range"]:
            config[-1]["IPRange"] = entry["range"]
    return {
        "Name": record["name"],
        "Id": record["id"],
        "Created": record["created"],
        "Scope": "local",
        "Driver": record["driver"],
        "EnableIPv4": True,
        "EnableIPv6": len(record["subnets"]) > 1,
        "IPAM": {"Driver": "default", "Options": {}, "Config": config},
        "Internal": record["internal"],
        "Attachable": False,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": _containers(kept, record),
        "Options": record["options"],
        "Labels": record["labels"],
    }


def _containers(kept, record):
    if record["name"] in PSEUDO:
        mode = record["name"]
        found = [one for one in kept.containers() if one["mode"] == mode and records.alive(one)]
        return {one["container"]: _endpoint(one, {}) for one in found}
    return {one["container"]: _endpoint(one, one["networks"][record["name"]]) for one in users(kept, record)}


def _endpoint(container, place):
    return {
        "Name": container["name"],
        "EndpointID": place.get("endpoint", ""),
        "MacAddress": place.get("mac", ""),
        "IPv4Address": "%s/%d" % (place["address"], place["prefix"]) if place else "",
        "IPv6Address": "%s/%d" % (place["address6"], place["prefix6"]) if place.get("address6") else "",
    }
