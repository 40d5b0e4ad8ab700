"""Disks and their partitions, from /sys/block."""

import os

from shepherd.remote.facts import files

BLOCK = "/sys/block"
DISK = "/dev/disk"
UNITS = (("YB", 80), ("ZB", 70), ("EB", 60), ("PB", 50), ("TB", 40), ("GB", 30), ("MB", 20), ("KB", 10))


def collect():
    links = _links()
    found = {}
    for name in files.listing(BLOCK):
        directory = "%s/%s" % (BLOCK, name)
        found[name] = _disk(directory, name, links)
    return {"device_links": links, "devices": found}


def _links():
    """The names that udev gave the devices, by kind and device: {"ids": {"sda": [...]}}."""
    found = {kind: {} for kind in ("ids", "uuids", "labels", "masters")}
    for kind, directory in (("ids", "by-id"), ("uuids", "by-uuid"), ("labels", "by-label")):
        directory = "%s/%s" % (DISK, directory)
        for name in files.listing(directory):
            device = os.path.basename(files.link("%s/%s" % (directory, name)))
            found[kind].setdefault(device, []).append(name)
    for device in files.listing(BLOCK):
        for slave in files.listing("%s/%s/slaves" % (BLOCK, device)):
            found["masters"].setdefault(slave, []).append(device)
    for kind in found:
        for names in found[kind].values():
            names.sort()
    return found


def _disk(directory, name, links):
    queue = directory + "/queue/"
    size = int(files.text(directory + "/size", "0")) * 512  # the kernel counts in 512 bytes, whatever the disk does
    sector = files.text(queue + "logical_block_size") or files.text(queue + "hw_sector_size", "512")
    disk = {
        "virtual": 1,
        "links": _links_of(name, links),
        "removable": files.text(directory + "/removable"),
        "rotational": files.text(queue + "rotational"),
        "support_discard": files.text(queue + "discard_granularity"),
        "scheduler_mode": files.text(queue + "scheduler", "").partition("[")[2].partition("]")[0],
        "sectors": size // int(sector),
        "sectorsize": sector,
        "size": human(size),
        "host": "",
        "holders": _holders(directory),
        "partitions": {},
    }
    for field in ("vendor", "model", "sas_address", "sas_device_handle"):
        disk[field] = files.text("%s/device/%s" % (directory, field))
    serial = files.text(directory + "/device/serial")
    if serial:
        disk["serial"] = serial
    wwn = next((one for one in disk["links"]["ids"] if one.startswith("wwn-")), None)
    if wwn:
        disk["wwn"] = wwn[4:]
    for part in files.listing(directory):
        if part.startswith(name) and part[len(name) :].lstrip("p").isdigit():
            disk["partitions"][part] = _partition("%s/%s" % (directory, part), part, disk, links)
    return disk


def _partition(directory, name, disk, links):
    size = int(files.text(directory + "/size", "0")) * 512
    sector = int(disk["sectorsize"])
    named = _links_of(name, links)
    return {
        "links": named,
        "start": files.text(directory + "/start", "0"),
        "sectors": size // sector,
        "sectorsize": sector,
        "size": human(size),
        "uuid": named["uuids"][0] if named["uuids"] else None,
        "holders": _holders(directory),
    }


def _links_of(name, links):
    return {kind: links[kind].get(name, []) for kind in links}


def _holders(directory):
    """What lies on the device: the names of device mapper targets, or of the devices."""
    found = []
    for name in files.listing(directory + "/holders"):
        if name.startswith("dm-"):
            found.append(files.text("%s/%s/dm/name" % (BLOCK, name), name))
        else:
            found.append(name)
    return found


def human(size):
    """A size in bytes for a person."""
    for unit, bits in UNITS:
        if size >= 1 << bits:
            return "%.2f %s" % (size / float(1 << bits), unit)
    return "%.2f Bytes" % size
