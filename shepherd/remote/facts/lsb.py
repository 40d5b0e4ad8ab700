"""What the Linux Standard Base calls this system."""

from shepherd.remote import programs
from shepherd.remote.facts import files

KEYS = {
    "DISTRIB_ID": "id",
    "DISTRIB_RELEASE": "release",
    "DISTRIB_CODENAME": "codename",
    "DISTRIB_DESCRIPTION": "description",
}
# what the program lsb_release reads where there is no /etc/lsb-release
RELEASE = {"VERSION_ID": "release", "VERSION_CODENAME": "codename", "PRETTY_NAME": "description"}


def collect(_):
    given = files.assignments("/etc/lsb-release") or {}
    found = {KEYS[name]: value for name, value in given.items() if name in KEYS}
    if not found and programs.find("lsb_release"):
        given = files.assignments("/etc/os-release") or {}
        found = {RELEASE[name]: value for name, value in given.items() if name in RELEASE}
        if "ID" in given:
            found["id"] = given["ID"].capitalize()
    if found.get("release"):
        found["major_release"] = found["release"].split(".")[0]
    return {"lsb": found}
