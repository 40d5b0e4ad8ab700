"""What a container may ask of the kernel unless it is told otherwise: what Docker's default profile allows, nearly.

Everything that the tables know is allowed but for what stands here. Compared by name, on x86_64, with the profile that
moby had in 2023: io_uring, sockets of AF_ALG and the ioctls that type into a terminal as its owner would, TIOCSTI and
TIOCLINUX (ioctl_tty(2)), are refused here and were allowed there; calls that came to the kernel later and act on what
the caller could reach anyway (fchmodat2, futex_wait, setxattrat, mseal and the like) are allowed here. The ioctls are
compared by their lower 32 bits, which are all that the kernel looks at.
"""

import os

from shepherd.runtime.linux.seccomp import tables
from shepherd.runtime.linux.seccomp.compiler import CONVENTIONS, NATIVE

# Needs one of these capabilities, since it acts on the machine, on other containers, or on much of the kernel.
WITH_CAPABILITY = {
    "CAP_SYS_ADMIN": "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick listmount lookup_dcookie mount "
    "mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname sethostname setns statmount "
    "syslog umount umount2 unshare",
    "CAP_BPF": "bpf",
    "CAP_DAC_READ_SEARCH": "open_by_handle_at",
    "CAP_PERFMON": "perf_event_open",
    "CAP_SYSLOG": "syslog",
    "CAP_SYS_BOOT": "reboot",
    "CAP_SYS_CHROOT": "chroot",
    "CAP_SYS_MODULE": "delete_module finit_module init_module",
    "CAP_SYS_NICE": "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
    "CAP_SYS_PACCT": "acct",
    "CAP_SYS_PTRACE": "kcmp pidfd_getfd process_madvise",
    "CAP_SYS_RAWIO": "ioperm iopl",
    "CAP_SYS_TIME": "clock_settime clock_settime64 settimeofday stime",
    "CAP_SYS_TTY_CONFIG": "vhangup",
}

# Never: what only the machine's own administration needs, what knows no namespaces (keys), what is old and unused,
# and what has been the way out of containers (userfaultfd, io_uring).
NEVER = (
    "_sysctl add_key afs_syscall bdflush break create_module ftty get_kernel_syms getpmsg gtty idle io_uring_enter "
    "io_uring_register io_uring_setup kexec_file_load kexec_load keyctl lock lsm_get_self_attr lsm_list_modules "
    "lsm_set_self_attr migrate_pages move_pages mpx nfsservctl oldfstat oldlstat oldolduname oldstat olduname "
    "pivot_root prof profil putpmsg query_module readdir request_key security sgetmask sigaction signal sigpending "
    "sigsuspend ssetmask stty swapoff swapon sysfs tuxcall ulimit uselib userfaultfd ustat vm86 vm86old vserver"
)

_ENOSYS = 38
_NAMESPACES = 0x7E020000  # every CLONE_NEW* that clone(2) takes
_AF_ALG, _AF_VSOCK = 38, 40
_PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)  # Linux and PER_LINUX32, UNAME26 of both, and the question
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_SUBORDINATE = {"SCMP_ARCH_X86_64": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"], "SCMP_ARCH_AARCH64": ["SCMP_ARCH_ARM"]}


def default_profile(capabilities, machine=None) -> dict:
    """The profile as a `linux.seccomp` object for a process with these capabilities (names such as CAP_CHOWN)."""
    native = NATIVE.get(machine or os.uname().machine, "SCMP_ARCH_X86_64")
    restricted = {name for names in WITH_CAPABILITY.values() for name in names.split()}
    given = {name for capability in capabilities for name in WITH_CAPABILITY.get(capability, "").split()}
    known = set()
    for name in [native] + _SUBORDINATE.get(native, []):
        if name in CONVENTIONS:
            known.update(tables.numbers(CONVENTIONS[name][1]))
    some = {"socket", "personality", "ioctl"}
    allowed = (known - set(NEVER.split()) - restricted - some) | given
    rules = []
    # the kernel looks at 32 bits of these arguments, whatever stands above them
    for name, index, refused in (("ioctl", 1, (_TIOCSTI, _TIOCLINUX)), ("socket", 0, (_AF_ALG, _AF_VSOCK))):
        rules += [_rule(name, "SCMP_ACT_ERRNO", (index, "MASKED_EQ", 0xFFFFFFFF, value)) for value in refused]
        rules.append(_rule(name, "SCMP_ACT_ALLOW"))
    rules += [_rule("personality", "SCMP_ACT_ALLOW", (0, "EQ", value)) for value in _PERSONALITIES]
    if "CAP_SYS_ADMIN" not in capabilities:
        rules.append(_rule("clone", "SCMP_ACT_ALLOW", (0, "MASKED_EQ", _NAMESPACES, 0)))
        rules.append(dict(_rule("clone3", "SCMP_ACT_ERRNO"), errnoRet=_ENOSYS))  # C libraries then use clone
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": 1,
        "architectures": [native] + _SUBORDINATE.get(native, []),
        "syscalls": [{"names": sorted(allowed), "action": "SCMP_ACT_ALLOW"}] + rules,
    }


def _rule(name, action, *conditions):
    rule = {"names": [name], "action": action}
    if conditions:
        rule["args"] = [
            {"index": one[0], "op": "SCMP_CMP_" + one[1], "value": one[2], "valueTwo": one[3] if len(one) > 3 else 0}
            for one in conditions
        ]
    return rule
