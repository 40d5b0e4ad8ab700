"""A small repository of packages, made with dpkg-deb. Run on the host that is to have it: python3 - FOLDER < file."""

import hashlib
import os
import subprocess
import sys
import tempfile

POSTINST = "#!/bin/sh\nexit 1\n"
# name, version, more fields of the control file, a file under /etc that is configuration, a script
PACKAGES = [
    ("sh-foo", "1.0", "", None, None),
    ("sh-foo", "1.1", "", None, None),
    ("sh-foo", "2.0~rc1", "", None, None),
    ("sh-bar", "1.0", "Depends: sh-foo (>= 1.0)\n", None, None),
    ("sh-baz", "1.0", "", None, None),
    ("sh-rec", "1.0", "Recommends: sh-baz\n", None, None),
    ("sh-conf", "1.0", "", "v=1.0\n", None),
    ("sh-conf", "1.1", "", "v=1.1\n", None),
    ("sh-impl", "1.0", "Provides: sh-virtual\n", None, None),
    ("sh-mail-a", "1.0", "Provides: sh-mail\n", None, None),
    ("sh-mail-b", "1.0", "Provides: sh-mail\n", None, None),
    ("sh-broken", "1.0", "Depends: sh-missing\n", None, None),
    ("sh-failing", "1.0", "", None, POSTINST),
]


def build(folder):
    os.makedirs(folder, exist_ok=True)
    paragraphs = []
    with tempfile.TemporaryDirectory() as work:
        for name, version, more, configuration, script in PACKAGES:
            tree = os.path.join(work, f"{name}-{version}")
            control = f"Package: {name}\nVersion: {version}\nArchitecture: all\n{more}"
            control += "Maintainer: T <t@example.org>\nDescription: test\n"
            write(tree, "DEBIAN/control", control)
            write(tree, f"usr/share/{name}/version", version + "\n")
            if configuration:
                write(tree, f"etc/{name}.conf", configuration)
                write(tree, "DEBIAN/conffiles", f"/etc/{name}.conf\n")
            if script:
                write(tree, "DEBIAN/postinst", script)
                os.chmod(os.path.join(tree, "DEBIAN/postinst"), 0o755)  # noqa: S103  # a maintainer script
            file = f"{name}_{version}_all.deb"
            path = os.path.join(folder, file)
            subprocess.check_call(["dpkg-deb", "--root-owner-group", "-b", tree, path], stdout=subprocess.DEVNULL)
            with open(path, "rb") as stream:
                data = stream.read()
            found = f"Filename: ./{file}\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n"
            paragraphs.append(control.replace("Description:", found + "Description:"))
    write(folder, "Packages", "\n".join(paragraphs))


def write(base, name, content):
    path = os.path.join(base, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as stream:
        stream.write(content)


build(sys.argv[1])
