"""Which distribution this is: os-release(5) first, where older and other files do not know better."""

import os

from shepherd.remote.facts import files

# the id of os-release(5) and the name that playbooks know; other distributions go by their NAME
NAMES = {
    "almalinux": "AlmaLinux",
    "alpine": "Alpine",
    "amzn": "Amazon",
    "arch": "Archlinux",
    "centos": "CentOS",
    "clear-linux-os": "Clear Linux OS",
    "coreos": "Coreos",
    "debian": "Debian",
    "devuan": "Devuan",
    "eurolinux": "EuroLinux",
    "fedora": "Fedora",
    "flatcar": "Flatcar",
    "gentoo": "Gentoo",
    "kali": "Kali",
    "ol": "OracleLinux",
    "raspbian": "Debian",
    "rhel": "RedHat",
    "rocky": "Rocky",
    "scientific": "Scientific",
    "slackware": "Slackware",
    "steamos": "SteamOS",
    "ubuntu": "Ubuntu",
    "virtuozzo": "Virtuozzo",
}

# Files of single distributions, the one that counts first: what the file must say, and the variety.
FILES = (
    ("/etc/oracle-release", "Oracle Linux", "OracleLinux"),
    ("/etc/slackware-version", "Slackware", "Slackware"),
    ("/etc/centos-release", "CentOS Stream", "CentOS"),
    ("/etc/redhat-release", "", "RedHat"),
    ("/etc/openwrt_release", "OpenWrt", "OpenWrt"),
    ("/etc/alpine-release", "", "Alpine"),
)
VARIETIES = {
    "Debian": "debian raspbian ubuntu steamos kali devuan cumulus-linux linuxmint uos deepin",
    "SUSE": "sles sled sles_sap sle-micro sl-micro suse opensuse opensuse-leap opensuse-tumbleweed opensuse-microos",
    "Amazon": "amzn",
    "Flatcar": "flatcar",
    "Coreos": "coreos",
    "ClearLinux": "clear-linux-os",
}
FAMILIES = {
    "RedHat": "RedHat, RHEL, Fedora, CentOS, Scientific, SLC, Ascendos, CloudLinux, PSBM, OracleLinux, OVS, OEL,"
    " Amazon, Amzn, Virtuozzo, XenServer, Alibaba, EulerOS, openEuler, AlmaLinux, Rocky, TencentOS, EuroLinux, MIRACLE,"
    " Kylin Linux Advanced Server",
    "Debian": "Debian, Ubuntu, Raspbian, Neon, KDE neon, Linux Mint, SteamOS, Devuan, Kali, Cumulus Linux, Pop!_OS,"
    " Parrot, Pardus GNU/Linux, Uos, Deepin, OSMC",
    "Suse": "SuSE, SLES, SLED, SLES_SAP, SUSE_LINUX, openSUSE, openSUSE Tumbleweed, openSUSE Leap, openSUSE MicroOS,"
    " SL-Micro, ALP-Dolomite",
    "Archlinux": "Archlinux, Antergos, Manjaro",
    "Mandrake": "Mandrake, Mandriva",
    "Gentoo": "Gentoo, Funtoo",
    "ClearLinux": "Clear Linux OS, Clear Linux Mix",
}


def collect(_):
    release = files.assignments("/etc/os-release") or files.assignments("/usr/lib/os-release") or {}
    facts = _of_release(release)
    for path, needed, variety in FILES:
        content = files.text(path)
        if content is not None and needed in content:
            facts.update(distribution_file_path=path, distribution_file_variety=variety, distribution_file_parsed=True)
            if variety in ("RedHat", "OracleLinux", "CentOS"):
                _of_red_hat(facts, content, release, variety)
            break
    else:
        _of_variety(facts, release)
    name = facts["distribution"]
    facts["os_family"] = next((family for family, members in FAMILIES.items() if name in members.split(", ")), name)
    return facts


def _of_release(release):
    """What os-release says by itself."""
    version = release.get("VERSION_ID") or "NA"
    code = release.get("VERSION_CODENAME", release.get("UBUNTU_CODENAME"))
    if code is None:
        code = release.get("VERSION", "").partition("(")[2].rstrip(")") or "NA"
    facts = {
        "distribution": NAMES.get(release.get("ID"), release.get("NAME") or "OtherLinux"),
        "distribution_version": version,
        "distribution_major_version": version.split(".")[0],
        "distribution_release": code,
    }
    if release:
        facts.update(
            distribution_file_path="/etc/os-release", distribution_file_variety="NA", distribution_file_parsed=True
        )
    return facts


def _of_red_hat(facts, content, release, variety):
    words = content.split()
    if not release:
        facts["distribution"] = {"Red": "RedHat"}.get(words[0], words[0])
    if "release" in words[:-1] and facts["distribution"] == "CentOS":
        version = ".".join(words[words.index("release") + 1].split(".")[:2])
        facts.update(distribution_version=version, distribution_major_version=version.split(".")[0])
    if not release:
        facts["distribution_release"] = content.partition("(")[2].rstrip(")") or "NA"
    if variety == "CentOS":
        facts["distribution_release"] = "Stream"
    elif variety == "OracleLinux":
        facts["distribution_file_search_string"] = "Oracle Linux"
    elif facts["distribution"] == "RedHat":
        facts["distribution_file_search_string"] = "Red Hat"


def _of_variety(facts, release):
    if os.path.exists("/etc/arch-release"):
        facts.update(
            distribution="Archlinux", distribution_file_path="/etc/arch-release", distribution_file_variety="Archlinux"
        )
        facts.pop("distribution_file_parsed", None)
        return
    identity = release.get("ID")
    variety = next((name for name, members in VARIETIES.items() if identity in members.split()), None)
    if variety is None:
        return
    facts["distribution_file_variety"] = variety
    minor = facts["distribution_version"].partition(".")[2]
    if variety == "Debian":
        _of_debian(facts, identity)
    elif variety == "SUSE":
        facts["distribution_release"] = minor
    elif variety == "Amazon":
        facts["distribution_minor_version"] = minor or "NA"
    elif variety == "ClearLinux":
        facts.update(distribution_file_path="/usr/lib/os-release", distribution_release="clear-linux-os")


def _of_debian(facts, identity):
    if facts["distribution"] != "Debian":
        return
    exact = files.text("/etc/debian_version", "")
    major, dot, minor = exact.partition(".")
    if dot and major.isdigit():
        facts["distribution_minor_version"] = minor
    if exact and identity == "debian":
        facts.update(distribution_version=exact, distribution_major_version=major)
