"""One thing that is written to one file of a group, and what both versions say alike."""


class Setting:
    """`file` is a name or a tuple of names, of which the first that is there is the one.

    `text` is what is written: a str, or one for each name. `pointer` is appended to that of the field. former(content)
    is the text that brings back what the file says now. An `optional` one is left out where there is no such file.
    holds(content) says whether a write that succeeded has done anything.
    """

    def __init__(self, file, text, pointer: str = "", former=None, optional: bool = False, holds=None):
        self.files = (file,) if isinstance(file, str) else file
        self.texts = (text,) * len(self.files) if isinstance(text, str) else text
        self.pointer = pointer
        self.former = former or str.strip
        self.optional = optional
        self.holds = holds


def keyed(key: str, nothing: str):
    """former() of a file with a line for each key; `nothing` is what is written for a key without one."""

    def former(content):
        for line in content.splitlines():
            if line.split()[:1] == [key]:
                return line
        return nothing

    return former


class Device:
    """An entry of an array of devices. `key` is "MAJOR:MINOR"."""

    def __init__(self, entry, value):
        self.key = "%d:%d" % (entry["major"], entry["minor"])
        self.value = value


def each_device(entries: list, field: str, setting) -> list:
    """setting(Device) for each entry that has this field."""
    found = []
    for number, entry in enumerate(entries):
        if entry.get(field) is not None:
            made = setting(Device(entry, entry[field]))
            made.pointer = "/%d/%s" % (number, field)
            found.append(made)
    return found


def each_page_size(usage: str, reserved: str):
    """Limits of huge pages: of those reserved where the kernel counts them (since Linux 5.7), and of those in use."""

    def expand(value, _all):
        found = []
        for number, entry in enumerate(value):
            size, limit, pointer = entry["pageSize"], str(entry["limit"]), "/%d/pageSize" % number
            found.append(Setting(usage % size, limit, pointer))
            found.append(Setting(reserved % size, limit, pointer, optional=True))
        return found

    return expand


def rdma(value: dict, _all) -> list:
    """Documentation/admin-guide/cgroup-v1/rdma.rst; version 2 has the same file."""
    found = []
    for device, limits in value.items():
        words = [device]
        for field, word in (("hcaHandles", "hca_handle"), ("hcaObjects", "hca_object")):
            if limits.get(field) is not None:
                words.append("%s=%d" % (word, limits[field]))
        former = keyed(device, device + " hca_handle=max hca_object=max")
        found.append(Setting("rdma.max", " ".join(words), "/" + device.replace("~", "~0").replace("/", "~1"), former))
    return found
