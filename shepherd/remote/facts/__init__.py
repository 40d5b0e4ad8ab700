"""What is known about a host: its facts, by kinds that can be asked for one by one.

A kind is gathered by a function that gets what is known so far and returns a dict of names (without the prefix
`ansible_`) and values. All is read from files and the kernel; a program is started only by the few kinds that say so.

Importing is most of what a first gathering takes, so these files do without `re`, `collections`, `json` and `shlex`,
which together take longer than all the reading.
"""


class Kind:
    """
    module    loads the module that gathers it (written out: what is imported is what is sent to a target)
    collect   its function
    names     what the kind can also be asked for by
    needs     kinds to gather before it
    minimal   whether it belongs to the subset `min`
    """

    def __init__(self, module, collect, names, needs, minimal):
        self.module = module
        self.collect = collect
        self.names = names
        self.needs = needs
        self.minimal = minimal


def _clock():
    from shepherd.remote.facts import clock

    return clock


def _distribution():
    from shepherd.remote.facts import distribution

    return distribution


def _dns():
    from shepherd.remote.facts import dns

    return dns


def _environment():
    from shepherd.remote.facts import environment

    return environment


def _hardware():
    from shepherd.remote.facts import hardware

    return hardware


def _inventories():
    from shepherd.remote.facts import inventories

    return inventories


def _local():
    from shepherd.remote.facts import local

    return local


def _lsb():
    from shepherd.remote.facts import lsb

    return lsb


def _managers():
    from shepherd.remote.facts import managers

    return managers


def _network():
    from shepherd.remote.facts import network

    return network


def _platform():
    from shepherd.remote.facts import platform

    return platform


def _security():
    from shepherd.remote.facts import security

    return security


def _ssh_keys():
    from shepherd.remote.facts import ssh_keys

    return ssh_keys


def _storage():
    from shepherd.remote.facts import storage

    return storage


def _users():
    from shepherd.remote.facts import users

    return users


def _virtual():
    from shepherd.remote.facts import virtual

    return virtual


KINDS = {
    "platform": Kind(
        _platform, "collect", "architecture kernel kernel_version machine machine_id python_version system", "", True
    ),
    "distribution": Kind(
        _distribution,
        "collect",
        "distribution_major_version distribution_release distribution_version os_family",
        "",
        True,
    ),
    "apparmor": Kind(_security, "apparmor", "", "", True),
    "caps": Kind(_security, "capabilities", "system_capabilities system_capabilities_enforced", "", True),
    "cmdline": Kind(_environment, "kernel_arguments", "", "", True),
    "date_time": Kind(_clock, "date_time", "", "", True),
    "dns": Kind(_dns, "collect", "", "", True),
    "env": Kind(_environment, "variables", "", "", True),
    "fips": Kind(_security, "fips", "", "", True),
    "local": Kind(_local, "collect", "", "", True),
    "lsb": Kind(_lsb, "collect", "", "", True),
    "pkg_mgr": Kind(_managers, "packages", "", "distribution", True),
    "python": Kind(_environment, "python", "", "", True),
    "selinux": Kind(_security, "selinux", "", "", True),
    "service_mgr": Kind(_managers, "services", "", "platform distribution", True),
    "ssh_pub_keys": Kind(
        _ssh_keys,
        "collect",
        "ssh_host_pub_keys ssh_host_key_dsa_public ssh_host_key_rsa_public ssh_host_key_ecdsa_public"
        " ssh_host_key_ed25519_public",
        "",
        True,
    ),
    "user": Kind(
        _users,
        "collect",
        "user_id user_uid user_gid user_gecos user_dir user_shell real_user_id effective_user_id effective_group_ids",
        "",
        True,
    ),
    "chroot": Kind(_virtual, "chroot", "is_chroot", "", False),
    "hardware": Kind(
        _hardware, "collect", "devices mounts processor processor_cores processor_count", "platform", False
    ),
    "network": Kind(
        _network,
        "collect",
        "interfaces default_ipv4 default_ipv6 all_ipv4_addresses all_ipv6_addresses",
        "platform distribution",
        False,
    ),
    "virtual": Kind(
        _virtual,
        "collect",
        "virtualization_type virtualization_role virtualization_tech_guest virtualization_tech_host",
        "",
        False,
    ),
    "loadavg": Kind(_clock, "load", "", "", False),
    "systemd": Kind(_managers, "systemd", "", "", False),
    "iscsi": Kind(_storage, "iscsi", "", "", False),
    "nvme": Kind(_storage, "nvme", "", "", False),
    "fibre_channel_wwn": Kind(_storage, "fibre_channel", "", "", False),
    "facter": Kind(_inventories, "facter", "", "", False),
    "ohai": Kind(_inventories, "ohai", "", "", False),
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


def gather(kinds, known):
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
            facts.update(getattr(kind.module(), kind.collect)(known))

    for name in KINDS:
        if name in kinds:
            visit(name)
    return facts


class Known:
    """What collectors are given: the options of `setup`, and the facts so far."""

    def __init__(self, task):
        self.task = task
        self.timeout = task.args["gather_timeout"]
        self.fact_path = task.args["fact_path"]
        self.facts = {}
