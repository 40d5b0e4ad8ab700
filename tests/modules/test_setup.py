"""Facts: the same names and values as ansible-core 2.18 finds, on this host and on many that are made up.

What ansible-core says of made-up hosts is kept in recorded/; how ours may differ is said in DIFFERENT.
"""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import isolated
import pytest

from shepherd.remote import facts as gathered
from shepherd.remote import process
from shepherd.remote.task import Task

HERE = Path(__file__).parent


# facts of this host that differ from ansible-core's, and why
DIFFERENT = {
    "ansible_system_capabilities": "by name; ansible-core passes on a piece of what capsh prints",
    "ansible_system_capabilities_enforced": "known without capsh, too",
    "ansible_python": "another Python runs it",
    "ansible_python_version": "another Python runs it",
    "ansible_env": "another process",
    "ansible_user_id": "environment",
    "ansible_lvm": "needs root and tools",
}


# facts that are another a moment later
MOVING = re.compile(r"ansible_(date_time|loadavg|mem|swap|uptime|mounts)")


# interfaces that other tests make meanwhile
PASSING = re.compile(r"ansible_(?!eth|lo\b)\w*\d")


@pytest.fixture(scope="module")
def facts(target):
    return target.run("setup", {})["ansible_facts"]


def test_gathering_imports_little():
    """What is imported is most of what a first gathering takes."""
    program = (
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "import setup\n"
        "from shepherd.remote.task import Task\n"
        "args = {'gather_subset': [], 'filter': [], 'gather_timeout': 10, 'fact_path': '/nowhere'}\n"
        "assert setup.run(Task(args))['ansible_facts']['ansible_fqdn']\n"
        "slow = {'re', 'enum', 'collections', 'json', 'shlex', 'encodings.idna', 'threading'}\n"
        "print(*sorted(slow & set(sys.modules)))"
    )
    paths = [str(HERE.parent.parent), str(HERE.parent.parent / "modules")]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", program, *paths], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""


@pytest.mark.oracle
def test_this_host_is_the_same_to_ansible(facts, oracle):
    if oracle is None:
        pytest.skip("SHEPHERD_ORACLE does not name an environment with ansible-core")
    theirs = oracle("setup", {})["ansible_facts"]
    for name in set(theirs) | set(facts):
        if name in DIFFERENT or MOVING.match(name) or PASSING.match(name):
            continue
        if name in ("ansible_interfaces", "ansible_locally_reachable_ips") or "ip_addresses" in name:
            continue
        assert settled(facts.get(name)) == settled(theirs.get(name)), name
    for name in ("ansible_date_time", "ansible_memory_mb", "ansible_loadavg"):
        assert shape(facts[name]) == shape(theirs[name]), name
    assert [mount["mount"] for mount in facts["ansible_mounts"]] == [
        mount["mount"] for mount in theirs["ansible_mounts"]
    ]
    assert shape(facts["ansible_mounts"][:1]) == shape(theirs["ansible_mounts"][:1])


def settled(value):
    return sorted(value, key=str) if isinstance(value, list) else value


def shape(value):
    """What kinds of values are where."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value]
    return type(value).__name__


COMMON = """architecture date_time default_ipv4 devices distribution dns env fqdn hostname interfaces kernel local lsb
machine memory_mb mounts os_family pkg_mgr processor python selinux service_mgr system user_id virtualization_type"""


def test_what_every_host_has(facts):
    for name in COMMON.split():
        assert f"ansible_{name}" in facts, name
    assert facts["module_setup"] is True and facts["gather_subset"] == ["all"]
    assert facts["ansible_nodename"] == os.uname().nodename
    assert facts["ansible_lo"]["ipv4"]["address"] == "127.0.0.1"


def test_few_programs_are_started(monkeypatch):
    """A program costs more than all the files together."""
    started = []

    def run(argv, **_):
        started.append(os.path.basename(argv[0]))
        return process.Finished(1, "", "")

    monkeypatch.setattr(process, "run", run)
    task = Task({"gather_timeout": 10, "fact_path": "/none"})
    found = gathered.gather(set(gathered.KINDS), gathered.Known(task))
    assert len(found) > 80
    assert set(started) <= {"vgs", "lvs", "pvs", "systemctl", "facter", "ohai"}  # which nothing can stand for


# Subsets


KEYS = {
    "date_time": {"date_time"},
    "dns": {"dns"},
    "env": {"env"},
    "chroot": {"is_chroot"},
    "is_chroot": {"is_chroot"},
    "virtual": {"virtualization_type", "virtualization_role", "virtualization_tech_guest", "virtualization_tech_host"},
    "cmdline": {"cmdline", "proc_cmdline"},
    "iscsi": {"iscsi_iqn"},
    "nvme": {"hostnqn"},
    "loadavg": {"loadavg"},
    "python": {"python"},
    "selinux": {"selinux", "selinux_python_present"},
}


@pytest.mark.parametrize("name", sorted(KEYS))
def test_one_kind(run, name):
    found = run("setup", {"gather_subset": ["!all", "!min", name]})["ansible_facts"]
    assert set(found) == {f"ansible_{key}" for key in KEYS[name]} | {"gather_subset", "module_setup"}


@pytest.mark.parametrize(
    ("subsets", "there", "missing"),
    [
        (["!hardware"], "env", "devices"),  # what is taken away is taken from `min`
        (["!all"], "env", "default_ipv4"),
        (["!all", "!min"], "", "env"),
        (["hardware"], "devices env", "default_ipv4"),
        (["all", "!hardware"], "default_ipv4", "devices"),
        (["!all", "network"], "default_ipv4 env", "devices"),
        (["!network", "network"], "default_ipv4", "devices"),
        (["!min", "interfaces"], "default_ipv4 kernel distribution", "env"),
        (["min", "!date_time"], "env", "date_time"),
        ([], "devices default_ipv4 env", ""),
    ],
)
def test_subsets(run, subsets, there, missing):
    found = run("setup", {"gather_subset": subsets})["ansible_facts"]
    for name in there.split():
        assert f"ansible_{name}" in found
    for name in missing.split():
        assert f"ansible_{name}" not in found


def test_unknown_subset(run):
    result = run("setup", {"gather_subset": ["hardwear"]})
    assert result["failed"]
    assert result["msg"].startswith(
        "Bad subset 'hardwear' given to Ansible. gather_subset options allowed: all, all_ipv4"
    )


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["ansible_mem*_mb"], {"ansible_memfree_mb", "ansible_memory_mb", "ansible_memtotal_mb"}),
        (["kernel", "ansible_system"], {"ansible_kernel", "ansible_system"}),
        (["gather_subset"], {"gather_subset"}),
        (["nothing"], set()),
    ],
)
def test_filter(run, patterns, expected):
    assert set(run("setup", {"filter": patterns})["ansible_facts"]) == expected


# A host with files of its own


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    etc = {
        "resolv.conf": "# c\nnameserver 1.1.1.1\nnameserver 2.2.2.2\n"
        "domain example.org\nsearch a.b c.d\noptions ndots:2 rotate\n",
        "ansible/facts.d/json.fact": '{"a": [1, 2]}',
        "ansible/facts.d/ini.fact": "[sec]\nkey=val\nOther = v%%1\n",
        "ansible/facts.d/program.fact": '#!/bin/sh\necho "[a]"; echo b=c\n',
        "ansible/facts.d/failing.fact": "#!/bin/sh\necho oh no >&2; exit 3\n",
        "ansible/facts.d/garbage.fact": "garbage\n",
        "ansible/facts.d/empty.fact": "",
        "ansible/facts.d/other": "[x]\n",
        "iscsi/initiatorname.iscsi": "## c\nInitiatorName=iqn.1993-08.org:01:abc\n",
        "ssh/ssh_host_ed25519_key.pub": "ssh-ed25519 AAAAC3 root@x\n",
    }
    yield from isolated.target(tmp_path_factory, etc)


def test_files_of_the_host(other):
    result = other.run("setup", {"gather_subset": ["!all", "dns", "local", "iscsi"]})
    found = result["ansible_facts"]
    assert found["ansible_dns"] == {
        "nameservers": ["1.1.1.1", "2.2.2.2"],
        "domain": "example.org",
        "search": ["a.b", "c.d"],
        "options": {"ndots": "2", "rotate": True},
    }
    failing = "Failure executing fact script (/etc/ansible/facts.d/failing.fact), rc: 3, err: oh no\n"
    garbage = "error loading facts as JSON or ini - please check content: /etc/ansible/facts.d/garbage.fact"
    assert found["ansible_local"] == {
        "json": {"a": [1, 2]},
        "ini": {"sec": {"key": "val", "other": "v%1"}},
        "program": {"a": {"b": "c"}},
        "failing": failing,
        "garbage": garbage,
        "empty": {},
    }
    assert sorted(result["warnings"]) == [failing, garbage]
    assert found["ansible_iscsi_iqn"] == "iqn.1993-08.org:01:abc"
    assert found["ansible_ssh_host_key_ed25519_public"] == "AAAAC3"
    assert found["ansible_ssh_host_key_ed25519_public_keytype"] == "ssh-ed25519"
    assert found["ansible_machine_id"]


def test_fact_path(other):
    result = other.run("setup", {"gather_subset": ["!all", "!min", "local"], "fact_path": "/none"})
    assert result["ansible_facts"]["ansible_local"] == {}


NETWORK = """
set -e
ip link set lo up
ip link add one-a type veth peer name one-b; ip link set one-b up
ip addr add 10.1.2.3/24 brd + dev one-a; ip addr add 10.1.2.4/24 dev one-a
ip addr add 10.9.0.1/16 dev one-a label one-a:x
ip link set one-a up; ip -6 addr add 2001:db8::5/64 dev one-a nodad
ip link add two type veth peer name three; ip addr add 192.168.7.1 peer 192.168.7.2 dev two; ip link set two up
ip route add default via 10.1.2.1 dev one-a; ip -6 route add default dev one-a; ip route add local 10.55.0.0/16 dev lo
exec "$@"
"""


def test_network(tmp_path):
    if os.geteuid() != 0 or subprocess.run(["unshare", "-n", "true"], check=False).returncode:
        pytest.skip("needs root and network namespaces")
    code = "import json; from shepherd.remote.facts import network; print(json.dumps(network.collect(None)))"
    told = subprocess.run(
        ["unshare", "-n", "-m", "sh", "-c", f"mount -t sysfs sysfs /sys; {NETWORK}", "sh", sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=HERE.parent.parent,
    )
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)
    one = found["one_a"]
    assert one["ipv4"] == {
        "address": "10.1.2.3",
        "broadcast": "10.1.2.255",
        "netmask": "255.255.255.0",
        "network": "10.1.2.0",
        "prefix": "24",
    }
    assert [other["address"] for other in one["ipv4_secondaries"]] == ["10.1.2.4"]
    assert found["one_a_x"]["ipv4"]["address"] == "10.9.0.1"
    assert one["ipv6"][0] == {"address": "2001:db8::5", "prefix": "64", "scope": "global"}
    assert one["active"] is True and one["type"] == "ether" and one["device"] == "one-a" and one["mtu"] == 1500
    assert found["two"]["ipv4"]["prefix"] == "32" and found["two"]["ipv4"]["address"] == "192.168.7.1"
    assert found["default_ipv4"] == {
        **one["ipv4"],
        "interface": "one-a",
        "alias": "one-a",
        "gateway": "10.1.2.1",
        "macaddress": one["macaddress"],
        "mtu": 1500,
        "type": "ether",
    }
    assert found["default_ipv6"]["address"] == "2001:db8::5" and "gateway" not in found["default_ipv6"]
    assert sorted(found["all_ipv4_addresses"]) == ["10.1.2.3", "10.1.2.4", "10.9.0.1", "192.168.7.1"]
    assert {"127.0.0.0/8", "10.55.0.0/16", "10.1.2.3"} <= set(found["locally_reachable_ips"]["ipv4"])
    assert {"::1", "2001:db8::5"} <= set(found["locally_reachable_ips"]["ipv6"])


def test_full_name_is_the_resolvers(facts):
    assert facts["ansible_fqdn"] == socket.getfqdn()
