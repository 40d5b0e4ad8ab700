"""The names by which storage networks know this host."""

from shepherd.remote.facts import files


def iscsi(_):
    for line in files.lines("/etc/iscsi/initiatorname.iscsi"):
        if line.startswith("InitiatorName="):
            return {"iscsi_iqn": line.split("=", 1)[1].strip()}
    return {"iscsi_iqn": ""}


def nvme(_):
    found = [line for line in files.lines("/etc/nvme/hostnqn") if line and line[0] not in "#;"]
    return {"hostnqn": found[0].strip() if found else ""}


def fibre_channel(_):
    found = []
    for host in sorted(files.listing("/sys/class/fc_host")):
        name = files.text("/sys/class/fc_host/%s/port_name" % host)
        if name:
            found.append(name[2:] if name.startswith("0x") else name)
    return {"fibre_channel_wwn": found}
