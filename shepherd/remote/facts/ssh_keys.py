"""The public keys of this host's SSH server."""

from shepherd.remote.facts import files

DIRECTORIES = ("/etc/ssh", "/etc/openssh", "/etc")


def collect(_):
    facts = {}
    for directory in DIRECTORIES:
        for kind in ("dsa", "rsa", "ecdsa", "ed25519"):
            words = files.text("%s/ssh_host_%s_key.pub" % (directory, kind), "").split()
            if len(words) > 1:
                facts["ssh_host_key_%s_public" % kind] = words[1]
                facts["ssh_host_key_%s_public_keytype" % kind] = words[0]
        if facts:
            break
    return facts
