"""Whether this is a virtual machine or a container, and which kind; whether we are in a chroot."""

import os

from shepherd.remote.facts import dmi, files

# what the firmware of virtual machines says: (field, values, technology), the one that counts first
FIRMWARE = (
    ("product_name", ("KVM", "KVM Server", "Bochs", "AHV"), "kvm"),
    ("product_family", ("RHV",), "RHV"),
    ("product_name", ("RHEV Hypervisor",), "RHEV"),
    ("product_name", ("VMware*",), "VMware"),
    ("product_name", ("OpenStack Compute", "OpenStack Nova"), "openstack"),
    ("bios_vendor", ("Xen",), "xen"),
    ("bios_vendor", ("innotek GmbH",), "virtualbox"),
    ("sys_vendor", ("oVirt",), "oVirt"),
    ("bios_vendor", ("Amazon EC2", "Hetzner"), "kvm"),
    ("sys_vendor", ("Microsoft Corporation",), "VirtualPC"),
    ("sys_vendor", ("Parallels Software International Inc.",), "parallels"),
    ("sys_vendor", ("OpenStack Foundation",), "openstack"),
    ("sys_vendor", ("QEMU", "Amazon EC2", "DigitalOcean", "Google", "Nutanix"), "kvm"),
)
RED_HAT = ("RHV", "RHEV")  # count only where the vendor is Red Hat
# the same in /proc/cpuinfo: (line, what it holds, technology)
PROCESSORS = (
    ("model name", "QEMU Virtual CPU", "kvm"),
    ("vendor_id", "User Mode Linux", "uml"),
    ("model name", "UML", "uml"),
    ("machine", "CHRP IBM pSeries (emulated by qemu)", "kvm"),
    ("vendor_id", "PowerVM Lx86", "powervm_lx86"),
    ("vendor_id", "IBM/S390", "PR/SM"),
)


def collect(_):
    guests, hosts = [], []
    for technology in list(_containers()) + list(_machines()):
        if technology not in guests:
            guests.append(technology)
    for technology in _hosts():
        if technology not in hosts:
            hosts.append(technology)
    if guests:
        kind, role = guests[0], "LPAR" if guests[0] == "PR/SM" else "guest"
    elif hosts:
        kind, role = hosts[0], "host"
    else:
        kind, role = "NA", "NA"
    return {
        "virtualization_type": kind,
        "virtualization_role": role,
        "virtualization_tech_guest": guests,
        "virtualization_tech_host": hosts,
    }


def _containers():
    """The containers we are in, the one that counts first; each of them is a "container", too."""
    found = []
    for line in files.lines("/proc/1/cgroup"):
        if "/docker/" in line or ("/docker-" in line and line.endswith(".scope")):
            found.append("docker")
        if "/lxc/" in line:
            found.append("lxc")
    for entry in files.text("/proc/1/environ", "").split("\0"):
        name, _, value = entry.partition("=")
        if name == "container" and value:
            found.append("lxc" if value.startswith("lxc") else "podman" if value == "podman" else "container")
    manager = files.text("/run/systemd/container")
    if manager:
        found.append(manager)
    for path in ("/.dockerenv", "/.dockerinit"):
        if os.path.exists(path):
            found.append("docker")
    if found:
        found.append("container")
    if os.path.exists("/proc/vz") and not os.path.exists("/proc/lve"):
        found.append("openvz")
    return found


def _machines():
    """The virtual machines we are in."""
    xen = os.path.isdir("/proc/xen") or files.text("/sys/hypervisor/type") == "xen"
    if xen and "control_d" not in files.text("/proc/xen/capabilities", ""):
        yield "xen"
    names = {field: files.text(dmi.DIRECTORY + field, "") for field in {field for field, _, _ in FIRMWARE}}
    for field, values, technology in FIRMWARE:
        if technology in RED_HAT and names["sys_vendor"] != "Red Hat":
            continue
        if technology == "RHEV" and names["product_family"] == "RHV":
            continue  # the same by its newer name
        if any(_is(names[field], value) for value in values):
            yield technology
    for line in files.lines("/proc/cpuinfo"):
        field, _, value = line.partition(":")
        for name, mark, technology in PROCESSORS:
            if field.strip() == name and mark in value:
                yield technology
    if any(line.startswith("VxID:") and line.split()[1] != "0" for line in files.lines("/proc/self/status")):
        yield "linux_vserver"


def _is(name, value):
    return name.startswith(value[:-1]) if value.endswith("*") else name == value


def _hosts():
    """What this host can be a host for."""
    if "control_d" in files.text("/proc/xen/capabilities", ""):
        yield "xen"
    if os.path.exists("/proc/vz") and os.path.exists("/proc/bc"):
        yield "openvz"
    modules = {line.split(" ")[0] for line in files.lines("/proc/modules")}
    if "kvm" in modules or os.path.exists("/dev/kvm"):
        yield "kvm"
    if "vboxdrv" in modules:
        yield "virtualbox"


def chroot(_):
    """Whether / is another directory than the one process 1 calls so."""
    if os.environ.get("debian_chroot"):  # noqa: SIM112  # its name
        return {"is_chroot": True}
    mine = os.stat("/")
    try:
        first = os.stat("/proc/1/root/.")
        return {"is_chroot": (mine.st_ino, mine.st_dev) != (first.st_ino, first.st_dev)}
    except OSError:
        # we may not look there: the root of a file system has a number that is known
        roots = {"btrfs": (256,), "xfs": (128, 64, 96)}
        kind = next((line.split(" ")[2] for line in files.lines("/proc/mounts") if line.split(" ")[1] == "/"), "")
        return {"is_chroot": mine.st_ino not in roots.get(kind, (2,))}
