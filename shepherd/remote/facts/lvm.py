"""Logical volumes. The tools of LVM are asked, where they are installed and we are root."""

import os

from shepherd.remote import programs

OPTIONS = ["--noheadings", "--nosuffix", "--units", "g", "--separator", ","]


def collect():
    tools = {name: programs.find(name) for name in ("vgs", "lvs", "pvs")}
    if os.getuid() != 0 or not tools["vgs"]:
        return {"lvm": "N/A"}
    groups = {}
    for fields in _told(tools["vgs"]):
        groups[fields[0]] = {"size_g": fields[-2], "free_g": fields[-1], "num_lvs": fields[2], "num_pvs": fields[1]}
    volumes = {}
    for fields in _told(tools["lvs"]):
        volumes[fields[0]] = {"size_g": fields[3], "vg": fields[1]}
    physical = {}
    for fields in _told(tools["pvs"]):
        physical[fields[0]] = {"size_g": fields[4], "free_g": fields[5], "vg": fields[1]}
    return {"lvm": {"lvs": volumes, "vgs": groups, "pvs": physical}}


def _told(program):
    if program is None:
        return []
    from shepherd.remote import process

    told = process.run([program] + OPTIONS).stdout
    return [fields for fields in (line.strip().split(",") for line in told.split("\n")) if len(fields) > 3]
