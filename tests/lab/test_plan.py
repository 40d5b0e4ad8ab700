"""Names, networks and users, as data."""

from __future__ import annotations

import pytest

from shepherd.errors import ShepherdError
from shepherd.lab import content, plan


def test_a_lab_that_grows_keeps_its_names():
    names = [plan.name_of(index) for index in range(7)]
    assert names == ["web1", "web2", "db1", "web3", "web4", "db2", "web5"]
    assert [plan.group_of(index) for index in range(4)] == ["web", "web", "db", "web"]


@pytest.mark.parametrize(
    ("taken", "interfaces", "chosen"),
    [
        ([], [], ("10.83.0.0/24", "lab0")),
        ([("10.83.0.1", 24)], [], ("10.83.1.0/24", "lab1")),
        ([("10.83.0.7", 32), ("10.83.1.0", 25)], [], ("10.83.2.0/24", "lab2")),
        ([], ["lab0"], ("10.83.1.0/24", "lab1")),
        ([("10.0.0.0", 8)], [], ("172.31.0.0/24", "lab256")),
    ],
)
def test_the_network_is_one_that_nothing_uses(taken, interfaces, chosen):
    assert plan.choose_network(taken, interfaces) == chosen


def test_no_network_left():
    with pytest.raises(ShepherdError, match="no private network"):
        plan.choose_network([("10.0.0.0", 8), ("172.16.0.0", 12)], [])


def test_users_take_free_numbers_and_replace_their_namesakes():
    passwd = "root:x:0:0:root:/root:/bin/bash\nann:x:1000:1000::/home/ann:/bin/sh\ndeploy:x:7:7::/:/bin/false\n"
    group = "root:x:0:\nann:x:1000:\nstaff:x:1001:ann\n"
    shadow = "root:!:1::::::\nann:x:1::::::\n"
    passwd, group, shadow, numbers = content.with_users(passwd, group, shadow)
    assert numbers == {"shepherd": 1002, "deploy": 1003}
    assert passwd.splitlines()[2:] == [
        "shepherd:x:1002:1002::/home/shepherd:/bin/bash",
        "deploy:x:1003:1003::/home/deploy:/bin/bash",
    ]
    assert group.splitlines()[3:] == ["shepherd:x:1002:", "deploy:x:1003:"]
    # root is not locked, which sshd without PAM would take for a refusal
    assert [line.split(":")[:2] for line in shadow.splitlines()] == [
        ["root", content.PASSWORD_HASH],
        ["ann", "x"],
        ["shepherd", content.PASSWORD_HASH],
        ["deploy", content.PASSWORD_HASH],
    ]


def test_disks_below_what_a_host_shows():
    mounts = """\
/dev/vda1 / ext4 rw 0 0
tmpfs /run tmpfs rw 0 0
/dev/vda2 /var ext4 rw 0 0
/dev/vda3 /var/lib/my\\040data ext4 rw 0 0
/dev/vda4 /var/tmp ext4 rw 0 0
/dev/vda5 /home ext4 rw 0 0
/dev/vda6 /variant ext4 rw 0 0
tmpfs /var/cache/fast tmpfs rw 0 0
pool/opt /opt zfs rw 0 0
"""
    assert content.parts(mounts) == ["/opt", "/var"]
