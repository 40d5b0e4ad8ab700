"""What is wrong with a config.json is said with its JSON pointer, before anything is made."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shepherd.runtime.bundle import config, options, state, template
from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux import syscalls

DELETE = object()


def changed(pointer, value):
    made = copy.deepcopy(template.config())
    *above, last = pointer.strip("/").split("/")
    place = made
    for name in above:
        place = place[int(name)] if isinstance(place, list) else place.setdefault(name, {})
    if value is DELETE:
        del place[last]
    elif isinstance(place, list):
        place.insert(int(last), value)
    else:
        place[last] = value
    return made


def test_the_template_is_a_configuration():
    config.check(template.config())
    config.check(template.rootless())


WRONG = [
    ("/ociVersion", DELETE, "/ociVersion: is required"),
    ("/ociVersion", "0.2.0", "/ociVersion"),
    ("/ociVersion", "2.0.0", "/ociVersion"),
    ("/ociVersion", 1, "/ociVersion"),
    ("/ociVersion", "1.2", "/ociVersion"),
    ("/ociVersion", "1.x.0", "/ociVersion"),
    ("/ociVersion", "1.2.0.1", "/ociVersion"),
    ("/root", DELETE, "/root: is required"),
    ("/root/path", DELETE, "/root/path: is required"),
    ("/root/path", 5, "/root/path"),
    ("/root/readonly", "yes", "/root/readonly: should be true or false"),
    ("/process/cwd", DELETE, "/process/cwd: is required"),
    ("/process/cwd", "relative", "/process/cwd: should be an absolute path"),
    ("/process/cwd", "/a\0b", "/process/cwd"),
    ("/process/args", [], "/process/args"),
    ("/process/args", "sh", "/process/args: should be an array"),
    ("/process/args", ["sh", 5], "/process/args/1: should be a string"),
    ("/process/args", [""], "/process/args"),
    ("/process/args", ["a\0b"], "/process/args/0"),
    ("/process/env", ["A"], "/process/env/0"),
    ("/process/env", ["=A"], "/process/env/0"),
    ("/process/user/uid", -1, "/process/user/uid"),
    ("/process/user/uid", 1 << 32, "/process/user/uid"),
    ("/process/user/uid", (1 << 32) - 1, "/process/user/uid"),
    ("/process/user/uid", "0", "/process/user/uid"),
    ("/process/user/uid", True, "/process/user/uid"),
    ("/process/user/umask", 0o7777, "/process/user/umask"),
    ("/process/user/additionalGids", [1, -1], "/process/user/additionalGids/1"),
    ("/process/terminal", 1, "/process/terminal"),
    ("/process/consoleSize", {"height": 5}, "/process/consoleSize/width: is required"),
    ("/process/rlimits", [{"type": "RLIMIT_X", "soft": 1, "hard": 1}], "/process/rlimits/0/type"),
    ("/process/rlimits", [{"type": "RLIMIT_CPU", "soft": 2, "hard": 1}], "/process/rlimits/0/soft"),
    ("/process/rlimits", [{"type": "RLIMIT_CPU", "soft": 1, "hard": 1}] * 2, "/process/rlimits/1/type"),
    ("/process/oomScoreAdj", 1001, "/process/oomScoreAdj"),
    ("/process/scheduler", {"policy": "SCHED_FAST"}, "/process/scheduler/policy"),
    ("/process/ioPriority", {"class": "IOPRIO_CLASS_BE", "priority": 8}, "/process/ioPriority/priority"),
    ("/process/execCPUAffinity", {"initial": "0-"}, "/process/execCPUAffinity/initial"),
    ("/mounts/0", {"type": "tmpfs"}, "/mounts/0/destination: is required"),
    ("/mounts/0", {"destination": "/a"}, "/mounts/0/type"),
    ("/mounts/0", {"destination": "/a", "options": ["bind"]}, "/mounts/0/source"),
    ("/mounts/0", {"destination": "/a", "type": "tmpfs", "options": ["x" * 5000]}, "/mounts/0/options"),
    (
        "/mounts/0",
        {"destination": "/a", "source": "/", "options": ["bind", "idmap"]},
        "/mounts/0/uidMappings: is required",
    ),
    ("/hooks", {"prestart": [{}]}, "/hooks/prestart/0/path: is required"),
    ("/hooks", {"prestart": [{"path": "relative"}]}, "/hooks/prestart/0/path"),
    ("/hooks", {"poststop": [{"path": "/x", "timeout": 0}]}, "/hooks/poststop/0/timeout"),
    ("/annotations", {"a": 1}, "/annotations/a: should be a string"),
    ("/annotations", {"": "a"}, "/annotations/: a key should not be empty"),
    ("/annotations", {"a/b~": 1}, "/annotations/a~1b~0: should be a string"),
    ("/linux", DELETE, "/linux: is required"),
    ("/linux/namespaces", [{"type": "mount"}, {"type": "pid"}, {"type": "pid"}], "/linux/namespaces/2/type"),
    ("/linux/namespaces", [{"type": "mnt"}], "/linux/namespaces/0/type: should be one of"),
    ("/linux/namespaces", [{"type": "mount"}, {"type": "pid", "path": "x"}], "/linux/namespaces/1/path"),
    ("/linux/namespaces", [{"type": "pid"}], "/linux/namespaces"),
    ("/linux/namespaces", [{"type": "mount"}], "/hostname"),
    ("/linux/uidMappings", [{"containerID": 0, "hostID": 0, "size": 1}], "/linux/uidMappings"),
    ("/linux/timeOffsets", {"boottime": {"secs": 1}}, "/linux/timeOffsets"),
    ("/linux/devices", [{"type": "c", "path": "/dev/x"}], "/linux/devices/0: major and minor"),
    ("/linux/devices", [{"type": "x", "path": "/dev/x"}], "/linux/devices/0/type"),
    ("/linux/rootfsPropagation", "public", "/linux/rootfsPropagation"),
    ("/linux/sysctl", {"kernel.core_pattern": "|/x"}, "/linux/sysctl/kernel.core_pattern: is a parameter of the whole"),
    ("/linux/sysctl", {"net.ipv4/../../kernel.core_pattern": "x"}, "/linux/sysctl/"),
    ("/linux/sysctl", {"net.ipv4..x": "x"}, "/linux/sysctl/"),
    ("/linux/sysctl", {"net.ipv4.ip_forward": 1}, "/linux/sysctl/net.ipv4.ip_forward: should be a string"),
    ("/linux/maskedPaths", ["proc"], "/linux/maskedPaths/0"),
    ("/linux/personality", {"domain": "SUN"}, "/linux/personality/domain"),
    ("/linux/intelRdt", {"closID": "a"}, "/linux/intelRdt: is not supported"),
    ("/linux/cgroupsPath", "/a/../../b", "/linux/cgroupsPath"),
]


@pytest.mark.parametrize(("pointer", "value", "message"), WRONG, ids=[f"{one[0]}-{n}" for n, one in enumerate(WRONG)])
def test_what_is_wrong_is_named(pointer, value, message):
    with pytest.raises(RuntimeFailure) as failure:
        config.check(changed(pointer, value))
    assert failure.value.message.startswith(message), failure.value.message


def test_null_stands_for_nothing():
    made = changed("/linux/resources", None)
    made["hooks"] = made["annotations"] = made["process"]["capabilities"] = None
    config.check(made)


def test_unknown_fields_are_left_alone():
    for pointer in ("/vm", "/process/new", "/linux/new", "/root/new", "/mounts/0/new", "/linux/resources/new"):
        config.check(changed(pointer, {"hypervisor": {}}))
    config.check(changed("/annotations", {"org.opencontainers.new": "known to nobody"}))


@pytest.mark.parametrize("version", ["1.0.0", "1.0.0-rc5", "1.2.1-dev+build.5", state.VERSION])
def test_versions_that_are_read(version):
    config.check(changed("/ociVersion", version))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def every_place(value, above=""):
    if isinstance(value, dict):
        for name, inner in value.items():
            yield f"{above}/{name}"
            yield from every_place(inner, f"{above}/{name}")


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(every_place(template.config()))), JSON)
def test_anything_anywhere_is_checked_or_refused(pointer, value):
    """Never another exception than ours."""
    try:
        config.check(changed(pointer, value))
    except RuntimeFailure as failure:
        assert failure.message.startswith("/")


def test_options_of_mounts_become_flags():
    found = options.parse(["ro", "nosuid", "mode=755", "noatime", "relatime", "rro", "rshared"], "")
    assert found.flags == syscalls.MS_RDONLY | syscalls.MS_NOSUID | syscalls.MS_RELATIME
    assert found.data == "mode=755"
    assert found.recursive_flags == syscalls.MS_RDONLY
    assert found.propagation == [syscalls.MS_SHARED | syscalls.MS_REC]
    assert options.parse(["ro", "rw"], "").flags == 0
    assert options.attributes(0, syscalls.MS_RDONLY) == (0, syscalls.MOUNT_ATTR_RDONLY)


@pytest.mark.parametrize("word", sorted(set(options.FLAGS) | set(options.RECURSIVE)))
def test_each_option_sets_or_clears(word):
    found = options.parse([word], "")
    assert found.data == ""
    assert word in ("defaults",) or found.flags or found.cleared or found.recursive_flags or found.recursive_cleared
