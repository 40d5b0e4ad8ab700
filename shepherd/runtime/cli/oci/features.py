"""`features`: what this runtime can do, as JSON (features.md, features-linux.md)."""

import sys

from shepherd.runtime.bundle import document, options, schema, state
from shepherd.runtime.cli.oci import options as words_of


def run(_chosen, words: list) -> int:
    """The verb."""
    words_of.parse(words, {}, "features", 0, 0)
    from shepherd.runtime.linux import capabilities
    from shepherd.runtime.linux.seccomp import compiler

    mounts = set(options.FLAGS) | set(options.RECURSIVE) | set(options.PROPAGATION)
    mounts |= {"bind", "rbind", "idmap", "ridmap", "remount", "tmpcopyup"}
    seccomp = {
        "enabled": True,
        "actions": sorted(compiler.ACTIONS),
        "operators": ["SCMP_CMP_" + name for name in compiler.OPERATORS],
        "archs": sorted(compiler.CONVENTIONS),
        "knownFlags": sorted(compiler.FLAGS),
    }
    shown = {
        "ociVersionMin": "1.0.0",
        "ociVersionMax": state.VERSION,
        "hooks": list(schema.CONFIG["hooks"]),
        "mountOptions": sorted(mounts),
        "linux": {
            "namespaces": sorted(schema.LINUX["namespaces"][0]["type!"]),
            "capabilities": sorted(capabilities.NUMBERS),
            "cgroup": {"v1": True, "v2": True, "systemd": True, "systemdUser": True, "rdma": True},
            "seccomp": seccomp,
            "apparmor": {"enabled": True},
            "selinux": {"enabled": True},
            "intelRdt": {"enabled": False},
            "mountExtensions": {"idmap": {"enabled": True}},
        },
    }
    sys.stdout.write(document.indented(shown) + "\n")
    return 0
