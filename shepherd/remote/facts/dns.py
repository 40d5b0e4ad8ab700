"""The resolver's configuration, resolv.conf(5)."""

from shepherd.remote.facts import files


def collect(_):
    found = {}
    for line in files.lines("/etc/resolv.conf"):
        words = line.split()
        if not words or words[0][0] in "#;":
            continue
        name, values = words[0], words[1:]
        if name == "nameserver":
            found.setdefault("nameservers", []).extend(values)
        elif name == "domain" and values:
            found["domain"] = values[0]
        elif name in ("search", "sortlist"):
            found[name] = values
        elif name == "options":
            options = found.setdefault("options", {})
            for value in values:
                option, colon, setting = value.partition(":")
                options[option] = setting if colon else True
    return {"dns": found}
