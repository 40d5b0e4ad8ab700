"""SELinux, AppArmor, FIPS mode, and the capabilities of this process."""

import os

from shepherd.remote.facts import files

# capabilities(7), in the order of their bits
CAPABILITIES = (
    "chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable net_bind_service"
    " net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace sys_pacct sys_admin"
    " sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease audit_write audit_control setfcap mac_override"
    " mac_admin syslog wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore"
)


def selinux(_):
    facts = {"status": "disabled"}
    enforcing = files.text("/sys/fs/selinux/enforce")
    if enforcing is not None:
        configured = files.assignments("/etc/selinux/config") or {}
        facts = {
            "status": "enabled",
            "policyvers": int(files.text("/sys/fs/selinux/policyvers", "0")),
            "mode": "enforcing" if enforcing == "1" else "permissive",
            "config_mode": configured.get("SELINUX", "unknown"),
            "type": configured.get("SELINUXTYPE", "unknown"),
        }
    return {"selinux": facts, "selinux_python_present": True}


def apparmor(_):
    enabled = os.path.exists("/sys/kernel/security/apparmor")
    return {"apparmor": {"status": "enabled" if enabled else "disabled"}}


def fips(_):
    return {"fips": files.text("/proc/sys/crypto/fips_enabled") == "1"}


def capabilities(_):
    """The effective ones by name; none are named where nothing is withheld."""
    status = files.assignments("/proc/self/status", ":") or {}
    if "CapEff" not in status:
        return {"system_capabilities": [], "system_capabilities_enforced": "N/A"}
    effective = int(status["CapEff"], 16)
    known = CAPABILITIES.split()
    bits = int(files.text("/proc/sys/kernel/cap_last_cap", str(len(known) - 1))) + 1
    if effective == (1 << bits) - 1:
        return {"system_capabilities": [], "system_capabilities_enforced": "False"}
    names = ["cap_" + known[bit] if bit < len(known) else str(bit) for bit in range(bits) if effective >> bit & 1]
    return {"system_capabilities": names, "system_capabilities_enforced": "True"}
