"""Whether this is a virtual machine or a container, and which kind; whether we are in a chroot."""

import os

from shepherd.remote.facts import dmi, files

# what the firmware of virtual machines says: (field, beginning of its value, technology)
FIRMWARE = (
    ("product_name", "HVM domU", "xen"),
    ("product_name", "VirtualBox", "virtualbox"),
    ("product_name", "VMware", "VMware"),
    ("product_name", "KVM", "kvm"),
    ("product_name", "Bochs", "kvm"),
    ("product_name", "AHV", "kvm"),
    ("product_name", "RHEV Hypervisor", "RHEV"),
    ("product_name", "oVirt", "oVirt"),
    ("product_name", "OpenStack", "openstack"),
    ("product_name", "RHOS", "openstack"),
    ("product_name", "Google Compute Engine", "kvm"),
    ("product_name", "DigitalOcean", "kvm"),
    ("product_name", "Alibaba Cloud ECS", "kvm"),
    ("product_name", "Virtual Machine", "VirtualPC"),
    ("product_name", "Parallels", "parallels"),
    ("system_vendor", "QEMU", "kvm"),
    ("system_vendor", "Amazon EC2", "kvm"),
    ("system_vendor", "DigitalOcean", "kvm"),
    ("system_vendor", "Hetzner", "kvm"),
    ("system_vendor", "Linode", "kvm"),
    ("system_vendor", "oVirt", "oVirt"),
    ("system_vendor", "Red Hat", "kvm"),
    ("system_vendor", "Nutanix", "kvm"),
    ("system_vendor", "Apple Inc.", None),
    ("bios_vendor", "Xen", "xen"),
    ("bios_vendor", "innotek GmbH", "virtualbox"),
    ("bios_vendor", "Parallels", "parallels"),
)


def collect(_):
    guests, hosts = [], []
    for technology in _containers():
        _add(guests, technology)
    for technology in _machines():
        _add(guests, technology)
    for technology in _hosts():
        _add(hosts, technology)
    if guests:
        kind, role = guests[0], "guest"
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


def _add(found, technology):
    if technology not in found:
        found.append(technology)


def _containers():
    """The containers we are in, the one that counts first; each of them is a "container", too."""
    found = []
    groups = files.text("/proc/1/cgroup", "")
    started = files.text("/proc/1/environ", "")
    if any("/docker" in line or "/docker-" in line for line in groups.split("\n")) or _exists(
        "/.dockerenv", "/.dockerinit"
    ):
        found += ["docker", "container"]
    if "/lxc/" in groups:
        found += ["lxc", "container"]
    if "/kubepods" in groups:
        found += ["docker", "container"]
    for entry in started.split("\0"):
        if entry == "container=lxc":
            found += ["lxc", "container"]
        elif entry == "container=podman":
            found += ["podman", "container"]
        elif entry.startswith("container="):
            found.append("container")
    if _exists("/run/.containerenv") and "podman" not in found:
        found += ["podman", "container"]
    if os.path.exists("/proc/vz") and not os.path.exists("/proc/lve"):
        found.append("openvz")
    manager = files.text("/run/systemd/container")
    if manager == "systemd-nspawn":
        found += ["systemd-nspawn", "container"]
    return found


def _exists(*paths):
    return any(os.path.exists(path) for path in paths)


def _machines():
    """The virtual machines we are in."""
    xen = os.path.isdir("/proc/xen") or files.text("/sys/hypervisor/type") == "xen"
    if xen and "control_d" not in files.text("/proc/xen/capabilities", ""):
        yield "xen"
    names = {field: files.text(dmi.DIRECTORY + field, "") for field in ("product_name", "bios_vendor")}
    names["system_vendor"] = files.text(dmi.DIRECTORY + "sys_vendor", "")
    for field, beginning, technology in FIRMWARE:
        if names[field].startswith(beginning) and technology:
            if technology == "VirtualPC" and not names["system_vendor"].startswith("Microsoft"):
                continue
            yield technology
    for line in files.lines("/proc/cpuinfo"):
        if line.startswith("model name") and "QEMU Virtual CPU" in line:
            yield "kvm"
            return
        if line.startswith("vendor_id") and "User Mode Linux" in line:
            yield "uml"
            return
        if line.startswith("machine") and "CHRP IBM pSeries (emulated by qemu)" in line:
            yield "kvm"
            return
        if line.startswith("vendor_id") and "PowerVM Lx86" in line:
            yield "powervm_lx86"
            return
    if any(line.startswith("VxID:") and line.split()[1] != "0" for line in files.lines("/proc/self/status")):
        yield "linux_vserver"


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
