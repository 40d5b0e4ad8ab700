"""Files that a container has beside its image's: hostname, hosts, resolv.conf, and the first process of --init.

They are written without a sync, which would take longer than all the rest of a creation. What they should say is in the
record, which is synced: after a power cut they are written again.
"""

import os


def texts(declared: dict, extra_hosts: list) -> dict:
    """Name to text, where no network writes them. `extra_hosts`: pairs (name, address)."""
    config, host = declared["Config"], declared["HostConfig"]
    mode = host["NetworkMode"]
    if mode not in ("none", "host"):
        return {}
    if mode == "host":
        hostname = os.uname().nodename
        hosts = _text("/etc/hosts") or "127.0.0.1\tlocalhost\n"
    else:
        hostname = config["Hostname"] or declared["Id"][:12]
        hosts = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
        if hostname != "localhost":
            hosts += "127.0.0.1\t%s\n" % hostname
    for name, address in extra_hosts:
        hosts += "%s\t%s\n" % (address, name)
    lines = _text("/etc/resolv.conf") if not host.get("Dns") else ""
    lines += "".join("nameserver %s\n" % one for one in host.get("Dns") or [])
    if host.get("DnsSearch"):
        lines += "search %s\n" % " ".join(host["DnsSearch"])
    if host.get("DnsOptions"):
        lines += "options %s\n" % " ".join(host["DnsOptions"])
    return {"hostname": hostname + "\n", "hosts": hosts, "resolv.conf": lines}


def write(declared: dict, folder: str) -> None:
    """Write them into the container's folder; those that are as they should be stay as they are."""
    for name, text in (declared.get("Files") or {}).items():
        _put(os.path.join(folder, name), text.encode("utf-8", "surrogateescape"), 0o644)
    if declared["HostConfig"].get("Init"):
        from shepherd.runtime.linux import reaper

        _put(os.path.join(folder, "init"), reaper.program(), 0o755)


def _put(path, data, mode):
    try:
        with open(path, "rb") as file:
            if file.read() == data:
                return
        os.unlink(path)  # not written over: it may be a program that runs
    except FileNotFoundError:
        pass
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, mode)
    with open(descriptor, "wb") as file:
        file.write(data)
    os.chmod(path, mode)


def _text(path):
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return ""
