"""Flags of Ansible's that are not here: each is refused with the reason, or with what to write instead."""

from __future__ import annotations

VAULT = "files encrypted with Ansible Vault cannot be read yet"
COPYING = "files go through the one SSH connection of a host: --ssh-common-args and --ssh-extra-args are for that"
MODULES = "modules alone have references here: shepherd doc lists them, shepherd doc NAME shows one"

EVERYWHERE = dict.fromkeys(
    (
        "--vault-id",
        "--vault-password-file",
        "--vault-pass-file",
        "-J",
        "--ask-vault-password",
        "--ask-vault-pass",
    ),
    VAULT,
)
ABSENT = {
    "play": {"--sftp-extra-args": COPYING, "--scp-extra-args": COPYING},
    "run": {"--sftp-extra-args": COPYING, "--scp-extra-args": COPYING},
    "doc": {
        "-l": "without a name, all modules are listed",
        "--list": "without a name, all modules are listed",
        "-s": "the examples of a module stand at the end of its reference",
        "--snippet": "the examples of a module stand at the end of its reference",
        **dict.fromkeys(("-t", "--type", "-F", "--list_files", "--metadata-dump"), MODULES),
        **dict.fromkeys(("-r", "--roles-path", "-e", "--entry-point"), MODULES),
        "--playbook-dir": "-M names a folder of modules",
    },
}


def reason(verb: str, flag: str) -> str | None:
    """Why `shepherd VERB` has no such flag; None where Ansible has none either."""
    return ABSENT.get(verb, {}).get(flag) or EVERYWHERE.get(flag)
