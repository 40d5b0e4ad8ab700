"""Facts of hosts that are made up: distributions, machines, managers, disks."""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from shepherd.remote.facts import cpu, devices, distribution, dmi, files, lsb, managers, virtual

HERE = Path(__file__).parent


# Hosts that are made up


def pretend(monkeypatch, content):
    """Let the files of a host be these and no others."""
    monkeypatch.setattr(files, "text", lambda path, default=None: content.get(path, "").strip("\n ") or default)
    monkeypatch.setattr(os.path, "exists", lambda path: path in content)
    monkeypatch.setattr(os.path, "isdir", lambda path: any(name.startswith(f"{path}/") for name in content))


DISTRIBUTIONS = json.loads((HERE / "recorded/distributions.json").read_text())


@pytest.mark.parametrize("name", sorted(DISTRIBUTIONS))
def test_distributions(monkeypatch, name):
    case = DISTRIBUTIONS[name]
    pretend(monkeypatch, case["files"])
    monkeypatch.setattr(lsb.programs, "find", lambda _: None)
    expected = case["facts"]
    if name == "clear":  # ansible-core leaves the quotes of the file in
        expected = {key: value.strip('"') if isinstance(value, str) else value for key, value in expected.items()}
    assert {**distribution.collect(None), **lsb.collect(None)} == expected


@pytest.mark.parametrize(("content", "expected"), json.loads((HERE / "recorded/virtualization.json").read_text()))
def test_virtualization(monkeypatch, content, expected):
    pretend(monkeypatch, content)
    found = virtual.collect(None)
    found["virtualization_tech_guest"].sort()
    assert found == expected


@pytest.mark.parametrize(
    ("family", "major", "there", "expected"),
    [
        ("Debian", "12", ["/usr/bin/apt-get"], "apt"),
        ("Debian", "12", ["/usr/bin/apt-get", "/usr/bin/dnf"], "apt"),
        ("RedHat", "9", ["/usr/bin/dnf", "/usr/bin/yum"], "dnf"),
        ("RedHat", "7", ["/usr/bin/dnf", "/usr/bin/yum"], "yum"),
        ("RedHat", "9", ["/run/ostree-booted", "/usr/bin/dnf"], "atomic_container"),
        ("Alpine", "3", ["/sbin/apk"], "apk"),
        ("Suse", "15", ["/usr/bin/zypper"], "zypper"),
        ("Archlinux", "NA", ["/usr/bin/pacman"], "pacman"),
        ("Frob", "1", [], "unknown"),
    ],
)
def test_package_managers(monkeypatch, family, major, there, expected):
    pretend(monkeypatch, dict.fromkeys(there, "x"))
    monkeypatch.setattr(os.path, "realpath", lambda path: path)

    known = {"os_family": family, "distribution": "CentOS", "distribution_major_version": major}
    assert managers.packages(SimpleNamespace(facts=known)) == {"pkg_mgr": expected}


@pytest.mark.parametrize(
    ("content", "link", "expected"),
    [
        ({"/proc/1/comm": "systemd\n", "/run/systemd/system/x": ""}, "", "systemd"),
        ({"/proc/1/comm": "init\n", "/run/systemd/system/x": ""}, "", "systemd"),
        ({"/proc/1/comm": "init\n", "/sbin/openrc": "x"}, "", "openrc"),
        ({"/proc/1/comm": "bash\n", "/etc/init.d/": ""}, "", "sysvinit"),
        ({"/proc/1/comm": "sh\n"}, "", "service"),
        ({"/proc/1/comm": "runit-init\n"}, "", "runit"),
        ({"/proc/1/comm": "procd\n"}, "", "openwrt_init"),
        ({"/proc/1/comm": "tini\n"}, "", "tini"),
        ({"/proc/1/comm": "init\n"}, "../lib/systemd/systemd", "systemd"),
    ],
)
def test_service_managers(monkeypatch, content, link, expected):
    pretend(monkeypatch, content)
    monkeypatch.setattr(files, "link", lambda _: link)
    monkeypatch.setattr(managers.programs, "find", lambda name: "/bin/systemctl" if name == "systemctl" else None)
    assert managers.services(None) == {"service_mgr": expected}


def test_processors(monkeypatch):
    one = "processor\t: {0}\nvendor_id\t: AuthenticAMD\nmodel name\t: EPYC\nphysical id\t: {1}\nsiblings\t: 4\n"
    one += "cpu cores\t: 2\nflags\t\t: fpu sse\n\n"
    pretend(monkeypatch, {"/proc/cpuinfo": "".join(one.format(number, number // 4) for number in range(8))})
    found = cpu.collect("x86_64")
    assert found["processor"][:6] == ["0", "AuthenticAMD", "EPYC", "1", "AuthenticAMD", "EPYC"]
    assert [found[f"processor_{name}"] for name in ("count", "cores", "threads_per_core", "vcpus")] == [2, 2, 2, 8]
    assert found["flags"] == ["fpu", "sse"]
    pretend(monkeypatch, {"/proc/cpuinfo": "processor\t: 0\nBogoMIPS\t: 1\n\nprocessor\t: 1\nCPU part\t: 0xd08\n"})
    found = cpu.collect("aarch64")
    assert [found[f"processor_{name}"] for name in ("count", "cores", "threads_per_core", "vcpus")] == [2, 1, 1, 2]


def test_firmware(monkeypatch):
    names = {"product_name": "Box \n", "sys_vendor": "V\n", "chassis_type": "23\n", "product_serial": " \n"}
    pretend(monkeypatch, {dmi.DIRECTORY + name: value for name, value in names.items()})
    found = dmi.collect()
    assert (found["product_name"], found["system_vendor"], found["form_factor"]) == ("Box", "V", "Rack Mount Chassis")
    assert (found["product_serial"], found["bios_date"]) == ("NA", "NA")


def test_disks(tmp_path, monkeypatch):
    for name, value in {
        "sda/size": "41943040",
        "sda/queue/scheduler": "none [mq-deadline] kyber",
        "sda/queue/logical_block_size": "4096",
        "sda/queue/rotational": "1",
        "sda/device/model": "Fast  ",
        "sda/sda1/size": "2097152",
        "sda/sda1/start": "2048",
        "sda/holders/dm-0/x": "",
        "dm-0/dm/name": "vg0-root",
        "dm-0/slaves/sda/x": "",
    }.items():
        path = tmp_path / "block" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value + "\n")
    for kind, name, device in (("by-id", "wwn-0x5", "sda"), ("by-uuid", "aa-bb", "sda1"), ("by-label", "ROOT", "sda1")):
        (tmp_path / "disk" / kind).mkdir(parents=True, exist_ok=True)
        (tmp_path / "disk" / kind / name).symlink_to(f"../../{device}")
    monkeypatch.setattr(devices, "BLOCK", f"{tmp_path}/block")
    monkeypatch.setattr(devices, "DISK", f"{tmp_path}/disk")
    found = devices.collect()
    assert found["device_links"] == {
        "ids": {"sda": ["wwn-0x5"]},
        "uuids": {"sda1": ["aa-bb"]},
        "labels": {"sda1": ["ROOT"]},
        "masters": {"sda": ["dm-0"]},
    }
    disk = found["devices"]["sda"]
    assert (disk["sectors"], disk["sectorsize"], disk["size"]) == (5242880, "4096", "20.00 GB")
    assert (disk["scheduler_mode"], disk["rotational"], disk["model"], disk["wwn"]) == (
        "mq-deadline",
        "1",
        "Fast",
        "0x5",
    )
    assert disk["holders"] == ["vg0-root"]
    assert disk["partitions"] == {
        "sda1": {
            "links": {"ids": [], "uuids": ["aa-bb"], "labels": ["ROOT"], "masters": []},
            "start": "2048",
            "sectors": 262144,
            "sectorsize": 4096,
            "size": "1.00 GB",
            "uuid": "aa-bb",
            "holders": [],
        }
    }
