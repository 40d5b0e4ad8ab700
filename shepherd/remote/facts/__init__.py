"""What is known about a host: its facts, by kinds that can be asked for one by one.

A kind is gathered by a function that gets what is known so far and returns a dict of names (without the prefix
`ansible_`) and values. All is read from files and the kernel; a program is started only by the few kinds that say so.
"""

from collections import namedtuple

# collect   the function
# names     what the kind can also be asked for by
# needs     kinds to gather before it
# minimal   whether it belongs to the subset `min`
Kind = namedtuple("Kind", "collect names needs minimal")


def _platform(known):
    from shepherd.remote.facts import platform

    return platform.collect(known)


def _distribution(known):
    from shepherd.remote.facts import distribution

    return distribution.collect(known)


def _lsb(known):
    from shepherd.remote.facts import lsb

    return lsb.collect(known)


def _pkg_mgr(known):
    from shepherd.remote.facts import managers

    return managers.packages(known)


def _service_mgr(known):
    from shepherd.remote.facts import managers

    return managers.services(known)


def _systemd(known):
    from shepherd.remote.facts import managers

    return managers.systemd(known)


def _users(known):
    from shepherd.remote.facts import users

    return users.collect(known)


def _env(known):
    from shepherd.remote.facts import environment

    return environment.variables(known)


def _cmdline(known):
    from shepherd.remote.facts import environment

    return environment.kernel_arguments(known)


def _python(known):
    from shepherd.remote.facts import environment

    return environment.python(known)


def _date_time(known):
    from shepherd.remote.facts import clock

    return clock.date_time(known)


def _loadavg(known):
    from shepherd.remote.facts import clock

    return clock.load(known)


def _dns(known):
    from shepherd.remote.facts import dns

    return dns.collect(known)


def _ssh_keys(known):
    from shepherd.remote.facts import ssh_keys

    return ssh_keys.collect(known)


def _selinux(known):
    from shepherd.remote.facts import security

    return security.selinux(known)


def _apparmor(known):
    from shepherd.remote.facts import security

    return security.apparmor(known)


def _fips(known):
    from shepherd.remote.facts import security

    return security.fips(known)


def _capabilities(known):
    from shepherd.remote.facts import security

    return security.capabilities(known)


def _local(known):
    from shepherd.remote.facts import local

    return local.collect(known)


def _hardware(known):
    from shepherd.remote.facts import hardware

    return hardware.collect(known)


def _network(known):
    from shepherd.remote.facts import network

    return network.collect(known)


def _virtual(known):
    from shepherd.remote.facts import virtual

    return virtual.collect(known)


def _chroot(known):
    from shepherd.remote.facts import virtual

    return virtual.chroot(known)


def _iscsi(known):
    from shepherd.remote.facts import storage

    return storage.iscsi(known)


def _nvme(known):
    from shepherd.remote.facts import storage

    return storage.nvme(known)


def _fibre_channel(known):
    from shepherd.remote.facts import storage

    return storage.fibre_channel(known)


def _facter(known):
    from shepherd.remote.facts import inventories

    return inventories.facter(known)


def _ohai(known):
    from shepherd.remote.facts import inventories

    return inventories.ohai(known)


KINDS = {
    "platform": Kind(
        _platform, "architecture kernel kernel_version machine machine_id python_version system", "", True
    ),
    "distribution": Kind(
        _distribution,
        "distribution_major_version distribution_release distribution_version os_family",
        "",
        True,
    ),
    "apparmor": Kind(_apparmor, "", "", True),
    "caps": Kind(_capabilities, "system_capabilities system_capabilities_enforced", "", True),
    "cmdline": Kind(_cmdline, "", "", True),
    "date_time": Kind(_date_time, "", "", True),
    "dns": Kind(_dns, "", "", True),
    "env": Kind(_env, "", "", True),
    "fips": Kind(_fips, "", "", True),
    "local": Kind(_local, "", "", True),
    "lsb": Kind(_lsb, "", "", True),
    "pkg_mgr": Kind(_pkg_mgr, "", "distribution", True),
    "python": Kind(_python, "", "", True),
    "selinux": Kind(_selinux, "", "", True),
    "service_mgr": Kind(_service_mgr, "", "platform distribution", True),
    "ssh_pub_keys": Kind(
        _ssh_keys,
        "ssh_host_pub_keys ssh_host_key_dsa_public ssh_host_key_rsa_public ssh_host_key_ecdsa_public"
        " ssh_host_key_ed25519_public",
        "",
        True,
    ),
    "user": Kind(
        _users,
        "user_id user_uid user_gid user_gecos user_dir user_shell real_user_id effective_user_id effective_group_ids",
        "",
        True,
    ),
    "chroot": Kind(_chroot, "is_chroot", "", False),
    "hardware": Kind(_hardware, "devices mounts processor processor_cores processor_count", "platform", False),
    "network": Kind(
        _network,
        "interfaces default_ipv4 default_ipv6 all_ipv4_addresses all_ipv6_addresses",
        "platform distribution",
        False,
    ),
    "virtual": Kind(
        _virtual,
        "virtualization_type virtualization_role virtualization_tech_guest virtualization_tech_host",
        "",
        False,
    ),
    "loadavg": Kind(_loadavg, "", "", False),
    "systemd": Kind(_systemd, "", "platform", False),
    "iscsi": Kind(_iscsi, "", "", False),
    "nvme": Kind(_nvme, "", "", False),
    "fibre_channel_wwn": Kind(_fibre_channel, "", "", False),
    "facter": Kind(_facter, "", "", False),
    "ohai": Kind(_ohai, "", "", False),
}
MINIMAL = {name for name, kind in KINDS.items() if kind.minimal}


class UnknownSubsetError(ValueError):
    """A subset that is none. Its text names those that are."""


def selected(subsets):
    """The kinds that `gather_subset` asks for, by name: additions win over what is taken away with `!`."""
    by_name = {"all": set(KINDS), "min": MINIMAL}
    for name, kind in KINDS.items():
        for called in [name] + kind.names.split():
            by_name.setdefault(called, set()).add(name)
    chosen, refused = set(), set()
    lowest = MINIMAL
    for subset in subsets:
        name = subset.lstrip("!")
        if name not in by_name:
            raise UnknownSubsetError(
                "Bad subset '%s' given to Ansible. gather_subset options allowed: all, %s"
                % (name, ", ".join(sorted(set(by_name) - {"all", "min"})))
            )
        if not subset.startswith("!"):
            chosen |= by_name[name]
        elif name == "min":
            lowest = set()
            refused |= MINIMAL
        elif name == "all":
            refused |= set(KINDS) - MINIMAL
        else:
            refused |= by_name[name]
    explicit = set()
    for subset in subsets:
        if subset not in ("all", "min") and not subset.startswith("!"):
            explicit |= by_name[subset]
    return ((chosen | lowest) - refused) | explicit


def gather(subsets, known):
    """The facts of the kinds asked for and of those that they need. `known` also holds options for the collectors."""
    facts = {}
    done = set()

    def visit(name):
        if name not in done:
            done.add(name)
            kind = KINDS[name]
            for needed in kind.needs.split():
                visit(needed)
            known.facts = facts
            facts.update(kind.collect(known))

    for name in KINDS:
        if name in subsets:
            visit(name)
    return facts


class Known:
    """What collectors are given: the options of `setup`, and the facts so far."""

    def __init__(self, task):
        self.task = task
        self.timeout = task.args["gather_timeout"]
        self.fact_path = task.args["fact_path"]
        self.facts = {}
