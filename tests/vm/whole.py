"""Prints what is not whole on a machine with the runtime, one thing a line: run on it, by its own Python.

It knows nothing of the runtime's code: images are read as an OCI layout (image-layout.md), the rest is the kernel's.
"""

import glob
import json
import os
import re
import subprocess

ROOT, STATE, GROUPS = "/var/lib/shepherd", "/run/shepherd", "/sys/fs/cgroup/shepherd"


def call(*words):
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{' '.join(words)}: exit code {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def runtime(*words):
    return call("shepherd-runtime", *words)


def same(what, found, wanted):
    """Say what is there and should not be, and what is not there and should be."""
    for one in sorted(set(found) - set(wanted)):
        print(f"{what} {one} is nobody's")
    for one in sorted(set(wanted) - set(found)):
        print(f"{what} {one} is not there")


def blob(digest):
    with open(os.path.join(ROOT, "blobs", *digest.split(":"))) as file:
        return json.load(file)


def reached():
    """The digests that a name or a pin needs."""
    with open(os.path.join(ROOT, "index.json")) as file:
        wanted = [one["digest"] for one in json.load(file)["manifests"]]
    for path in glob.glob(ROOT + "/pins/*"):
        with open(path) as file:
            wanted.append(file.read())
    found = set()
    while wanted:
        digest = wanted.pop()
        if digest in found:
            continue
        found.add(digest)
        try:
            manifest = blob(digest)
        except (OSError, ValueError) as error:
            print(f"manifest {digest}: {error}")
            continue
        wanted += [one["digest"] for one in manifest.get("manifests", [])]
        found.update(one["digest"] for one in manifest.get("layers", []))
        if "config" in manifest:
            found.add(manifest["config"]["digest"])
    return found


def main():
    ids = runtime("ps", "-aq", "--no-trunc").split()
    containers = json.loads(runtime("inspect", *ids)) if ids else []
    running = [one for one in containers if one["State"]["Running"]]
    for one in containers:
        if one["State"]["Status"] not in ("running", "exited", "created"):
            print(f"container {one['Name']} is {one['State']['Status']}")
        if one["State"]["Running"] and not os.path.exists(f"/proc/{one['State']['Pid']}"):
            print(f"container {one['Name']} has no process")
    same("record", [name for name in os.listdir(ROOT + "/containers") if name not in ("names", "lock")], ids)
    same("name", os.listdir(ROOT + "/containers/names"), [one["Name"].strip("/") for one in containers])
    same("pin", [name for name in os.listdir(ROOT + "/pins") if re.match("[0-9a-f]{64}$", name)], ids)

    alive = [one["Id"] for one in running]
    same("control group", [os.path.basename(one.rstrip("/")) for one in glob.glob(GROUPS + "/*/")], alive)
    with open("/proc/self/mountinfo") as file:
        mounted = [line.split()[4] for line in file if ROOT in line or STATE in line]
    same("mount", [one for one in mounted if not any(name in one for name in alive)], [])

    plugged = [
        one for one in running if any(net.get("IPAddress") for net in one["NetworkSettings"]["Networks"].values())
    ]
    cables = [line for line in call("ip", "-o", "link", "show", "type", "veth").splitlines() if line]
    if len(cables) != sum(len(one["NetworkSettings"]["Networks"]) for one in plugged):
        print(f"{len(plugged)} containers have {len(cables)} cables: {cables}")
    # as nft says it, or where the kernel has no nftables of IP, iptables
    rules = call("nft", "list", "ruleset") + call("iptables-save", "-t", "nat").replace("--to-destination", "dnat to")
    wanted = []  # translated by the kernel: what comes from outside to a network that asks for it
    for one in plugged:
        for inside, places in one["NetworkSettings"]["Ports"].items():
            for place in places or []:
                if not place["HostIp"].startswith("127."):
                    address = one["NetworkSettings"]["Networks"]["front"]["IPAddress"]
                    wanted.append(f"{place['HostPort']} dnat to {address}:{inside.split('/')[0]}")
    same("rule", [" dnat to ".join(one) for one in re.findall(r"dport (\d+).* dnat to (\S+)", rules)], wanted)

    runtime("builder", "prune", "-f")
    runtime("image", "prune", "-f")
    same("unfinished", os.listdir(ROOT + "/staging"), [])
    same("lease", os.listdir(ROOT + "/leases"), [])
    same("lock of a build", glob.glob(ROOT + "/build/locks/*"), [])
    same("blob", [":".join(one.split("/")[-2:]) for one in glob.glob(ROOT + "/blobs/*/*")], reached())


main()
