"""Users, step by step as ansible-core brings them about, in an /etc of their own."""

import isolated
import pytest
from isolated import Differs

LETTERS = "abcdefghijklmnopqrstuvwxyz"
HASH = f"$6$abcdefgh${LETTERS * 3}abcdefgh"
OTHER = f"$6$bbbbbbbb${LETTERS * 3}abcdefgh"
ROUNDS = f"$6$rounds=5000$abc${LETTERS * 3}abcdefgh"
UNLOCKED = ["The password of vb stays locked: there is none, and without one anybody could log in"]
APPEND = ["'append' is set, but no 'groups' are specified. Use 'groups' for appending new groups."]
COLON = "A password's hash has no colon and no line break in it"
SAME = Differs({"changed": False, "stdout": None}, "nothing is to change, and nothing is said to have changed")
QUIET = Differs({"stdout": None}, "usermod is not asked to change nothing")
UMASK = Differs("drwxr-x--- vb vb /home/vb2", "the option umask holds for every home that is made")

STEPS = [
    ("user", {"name": "ua"}, "check"),
    ("user", {"name": "ua"}),
    ("user", {"name": "ua"}),
    "grep '^ua:' /etc/passwd /etc/shadow /etc/group; find /home/ua -maxdepth 1 -printf '%M %u %g %p\\n' | sort head -4",
    ("user", {"name": "ua", "comment": "Agent", "shell": "/bin/zsh"}, "check"),
    ("user", {"name": "ua", "comment": "Agent", "shell": "/bin/zsh"}),
    ("user", {"name": "ua", "groups": "adm,sudo"}, "check"),
    ("user", {"name": "ua", "groups": "adm,sudo"}),
    ("user", {"name": "ua", "groups": ["adm", "sudo"]}),
    ("user", {"name": "ua", "groups": ["cdrom"], "append": True}),
    ("user", {"name": "ua", "groups": ["cdrom"], "append": True}, "check"),
    ("user", {"name": "ua", "groups": ["adm"]}),
    ("user", {"name": "ua", "groups": ""}),
    ("user", {"name": "ua", "groups": []}),
    ("user", {"name": "ua", "append": True}, Differs({"warnings": APPEND}, "no talk of a version to come")),
    ("user", {"name": "ua", "groups": ["nogrp"]}),
    ("user", {"name": "ua", "groups": ["nogrp"]}, "check"),
    ("user", {"name": "ua", "group": "nogrp"}),
    ("user", {"name": "ua", "group": "users"}),
    ("user", {"name": "ua", "group": "100", "groups": ["users", "4"]}),
    ("user", {"name": "ua", "uid": 4444}),
    ("user", {"name": "ua", "password": "plain"}),
    ("user", {"name": "ua", "password": "*"}),
    ("user", {"name": "ua", "password": "!"}),
    (
        "user",
        {
            "name": "ua",
            "password": HASH,
        },
    ),
    (
        "user",
        {
            "name": "ua",
            "password": HASH,
        },
        "check",
    ),
    ("user", {"name": "ua", "password": "foo", "update_password": "on_create"}),
    ("user", {"name": "ua", "password_lock": True}),
    "grep '^ua:' /etc/shadow",
    ("user", {"name": "ua", "password_lock": True}),
    ("user", {"name": "ua", "password_lock": False}),
    ("user", {"name": "ua", "password_lock": False}),
    ("user", {"name": "ua", "expires": 1422403387}),
    ("user", {"name": "ua", "expires": 1422403387}),
    "grep '^ua:' /etc/shadow",
    ("user", {"name": "ua", "expires": -1}),
    ("user", {"name": "ua", "expires": -1}),
    "grep '^ua:' /etc/shadow",
    ("user", {"name": "ua", "expires": 0}),
    "grep '^ua:' /etc/shadow",
    (
        "user",
        {
            "name": "ua",
            "password_expire_max": 10,
            "password_expire_min": 2,
            "password_expire_warn": 3,
            "password_expire_account_disable": 4,
        },
    ),
    "grep '^ua:' /etc/shadow",
    (
        "user",
        {
            "name": "ua",
            "password_expire_max": 10,
            "password_expire_min": 2,
            "password_expire_warn": 3,
            "password_expire_account_disable": 4,
        },
        SAME,
    ),
    ("user", {"name": "ua", "password_expire_max": 11}, "check"),
    ("user", {"name": "ua", "home": "/home/ua2"}),
    "ls /home",
    ("user", {"name": "ua", "home": "/home/ua3", "move_home": True}),
    "ls /home; grep ^ua: /etc/passwd",
    ("user", {"name": "ua", "home": "/home/ua4", "create_home": False}),
    "ls /home; grep ^ua: /etc/passwd",
    ("user", {"name": "ua", "generate_ssh_key": True, "ssh_key_type": "ed25519"}),
    ("user", {"name": "ua", "generate_ssh_key": True, "ssh_key_type": "ed25519"}),
    ("user", {"name": "ua", "generate_ssh_key": True, "ssh_key_type": "ed25519", "force": True}),
    ("user", {"name": "ua", "generate_ssh_key": True, "ssh_key_type": "ed25519"}, "check"),
    "find /home/ua4 -maxdepth 1 -printf '%M %u %g %p\\n' | sort cat /home/ua4/.ssh/*.pub",
    (
        "user",
        {
            "name": "ua",
            "generate_ssh_key": True,
            "ssh_key_type": "rsa",
            "ssh_key_bits": 1024,
            "ssh_key_comment": "me",
            "ssh_key_file": "k/x",
            "ssh_key_passphrase": "longer",
        },
    ),
    "find /home/ua4 -maxdepth 1 -printf '%M %u %g %p\\n' | sort cat /home/ua4/k/*.pub",
    ("user", {"name": "ub", "generate_ssh_key": True, "create_home": False, "ssh_key_type": "ed25519"}),
    ("user", {"name": "ub2", "generate_ssh_key": True, "ssh_key_type": "ed25519", "ssh_key_comment": "c"}),
    ("user", {"name": "uc", "uid": 4444}),
    ("user", {"name": "uc", "uid": 4444, "non_unique": True}),
    (
        "user",
        {
            "name": "ud",
            "system": True,
            "create_home": False,
            "shell": "/usr/sbin/nologin",
            "home": "/srv/ud",
            "group": "users",
            "groups": "adm",
            "comment": "D",
            "uid": 4445,
            "password": "!",
            "expires": 1422403387,
            "password_expire_max": 4,
            "password_lock": True,
            "umask": "077",
        },
    ),
    "grep '^ud:' /etc/passwd /etc/shadow /etc/group",
    (
        "user",
        {
            "name": "ue",
            "umask": "077",
            "skeleton": "/etc/apt",
            "uid_min": 9000,
            "uid_max": 9009,
            "password_expire_warn": 3,
        },
    ),
    "grep '^ue:' /etc/passwd /etc/shadow; find /home/ue -maxdepth 1 -printf '%M %u %g %p\\n' | sort",
    (
        "user",
        {"name": "uf", "local": True},
        Differs({"msg": 'Failed to find required executable "luseradd"'}, "what is needed first"),
    ),
    ("user", {"name": "uf", "local": True, "uid_min": 4}),
    ("user", {"name": "uf", "skeleton": "/x", "create_home": False}),
    (
        "user",
        {
            "name": "ug",
            "authorization": "a",
            "profile": "x",
            "role": "y",
            "login_class": "z",
            "hidden": True,
            "seuser": "user_u",
        },
    ),
    ("user", {"name": "ue", "seuser": "user_u"}),
    ("user", {"name": "ud", "state": "absent"}, "check"),
    ("user", {"name": "ud", "state": "absent", "remove": True}),
    ("user", {"name": "ud", "state": "absent"}),
    ("user", {"name": "ua", "state": "absent", "remove": True, "force": True}),
    ("user", {"name": "ue", "state": "absent"}),
    "ls /home",
    ("user", {"name": "ue"}),
    "find /home/* -maxdepth 0 -printf '%M %u %g %p\\n' | sort",
    ("user", {"name": "bad name"}),
    ("user", {"name": "uh", "group": "nogrp"}),
    ("user", {"name": "uh", "groups": "nogrp,adm"}),
    ("user", {"name": "uh", "groups": "nogrp,adm"}, "check"),
    ("user", {"name": "uh", "password": "*"}),
    ("user", {"name": "uh", "home": "/home/none"}, "check"),
    ("user", {"name": "uh", "shell": "/bin/nosuch"}),
    ("user", {"name": "uh", "uid": 0}),
    ("user", {"name": "uh", "uid": 0}, "check"),
    (
        "user",
        {"name": "uh", "password": "a:b"},
        Differs({"msg": COLON, "rc": None, "warnings": None}, "it would break the file"),
    ),
    ("user", {"name": "uh", "expires": 1000000000000.0}),
    ("user", {"name": "root", "groups": "uh", "append": True}),
    ("user", {"name": "root"}),
    ("user", {"name": "games"}),
    ("user", {"name": "uj", "generate_ssh_key": True}, "check"),
    (
        "user",
        {
            "name": "va",
            "password_lock": True,
            "password": HASH,
        },
    ),
    "grep '^va:' /etc/shadow",
    (
        "user",
        {
            "name": "va",
            "password": HASH,
        },
    ),
    "grep '^va:' /etc/shadow",
    (
        "user",
        {
            "name": "va",
            "password": HASH,
            "password_lock": True,
        },
    ),
    (
        "user",
        {
            "name": "va",
            "password": OTHER,
            "password_lock": True,
        },
    ),
    "grep '^va:' /etc/shadow",
    (
        "user",
        {
            "name": "va",
            "password": OTHER,
            "password_lock": False,
        },
    ),
    "grep '^va:' /etc/shadow",
    ("user", {"name": "vb"}),
    (
        "user",
        {"name": "vb", "password_lock": False},
        Differs({"changed": False, "stderr": None, "warnings": UNLOCKED}, "usermod refuses"),
    ),
    ("user", {"name": "vb", "password_lock": True}),
    ("user", {"name": "vb", "password": "!", "password_lock": True}),
    ("user", {"name": "vb", "password": "*", "password_lock": False}),
    ("user", {"name": "vb", "password": "*", "password_lock": True}),
    "grep '^vb:' /etc/shadow",
    ("user", {"name": "vb", "password": ""}),
    "grep '^vb:' /etc/shadow",
    ("user", {"name": "vb", "generate_ssh_key": True, "ssh_key_type": "ed25519"}, "check"),
    ("user", {"name": "vb", "home": "/home/vb2", "umask": "027", "skeleton": "/etc/apt"}),
    ("find /home/vb2 -maxdepth 1 -printf '%M %u %g %p\\n' | sort", UMASK),
    ("user", {"name": "vc", "create_home": False}),
    ("user", {"name": "vc"}, "check"),
    ("user", {"name": "vc", "umask": "027"}),
    "find /home/vc; -maxdepth 1 -printf '%M %u %g %p\\n' | sort -i '^umask\\|^home' /etc/login.defs",
    "groupadd vd",
    ("user", {"name": "vd"}),
    ("user", {"name": "vd", "groups": "adm,4"}),
    ("user", {"name": "vd", "groups": "adm,4"}),
    ("user", {"name": "vd", "state": "absent"}, "check"),
    ("user", {"name": "vd", "state": "absent", "force": True}, "check"),
    ("user", {"name": "vd", "group": "4242"}),
    ("user", {"name": "vd", "group": "4"}),
    ("user", {"name": "vd", "password": "$1$abc$def"}, "check"),
    ("user", {"name": "vd", "password": "abcdefghijklm"}, "check"),
    ("user", {"name": "vd", "password": "abcdefghijklmn"}, "check"),
    ("user", {"name": "vd", "password": "*LK*"}, "check"),
    ("user", {"name": "vd", "password": "!!"}, "check"),
    ("user", {"name": "vd", "password": "!*"}, "check"),
    ("user", {"name": "vd", "password": "x$"}, "check"),
    ("user", {"name": "vd", "password": "*************"}, "check"),
    (
        "user",
        {"name": "vd", "password": "$y$j9T$abcdefgh$abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz"},
        "check",
    ),
    (
        "user",
        {
            "name": "vd",
            "password": ROUNDS,
        },
        "check",
    ),
    ("user", {"name": "vd", "password": "$5$abc$abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrs"}, "check"),
    ("user", {"name": "vd", "password": "$6$abc$short"}, "check"),
    ("user", {"name": "vd", "password": "$2b$12$abcdefghijklmnopqrstuvabcdefghijklmnopqrstuvwxyzabcde"}, "check"),
    ("user", {"name": "ve", "password_expire_account_disable": 5, "password_expire_min": 1, "create_home": False}),
    "grep '^ve:' /etc/shadow",
    ("user", {"name": "ve", "password_expire_account_disable": 5}, QUIET),
    ("user", {"name": "ve", "password_expire_min": 1}),
    ("user", {"name": "ve", "password_expire_min": 0}),
    ("user", {"name": "ve", "password_expire_max": -1}),
    ("user", {"name": "ve", "password_expire_max": -1}),
    "grep '^ve:' /etc/shadow",
    ("user", {"name": "ve", "password_expire_account_disable": -1}),
    "grep '^ve:' /etc/shadow",
    ("user", {"name": "ve", "password_expire_account_disable": -1}, SAME),
    ("user", {"name": "ve", "comment": "", "groups": "adm", "append": True, "expires": 86399.5}),
    "grep '^ve:' /etc/shadow",
    ("user", {"name": "ve", "expires": -5}),
    ("user", {"name": "ve", "comment": "a:b"}),
    ("user", {"name": "vf", "group": "adm", "groups": "adm"}),
    ("user", {"name": "vf", "groups": "adm,cdrom"}),
    ("user", {"name": "vf", "groups": "adm,cdrom"}),
    ("user", {"name": "vf", "groups": " adm , cdrom"}),
    (
        "user",
        {"name": "vf", "home": "/home/vg", "move_home": True, "generate_ssh_key": True, "ssh_key_type": "ed25519"},
        "check",
    ),
    (
        "user",
        {"name": "vf", "home": "/home/vg", "move_home": True, "generate_ssh_key": True, "ssh_key_type": "ed25519"},
    ),
    ("user", {"name": "vf", "ssh_key_type": "ed25519", "ssh_key_file": "~/x"}),
    ("user", {"name": "vh", "system": True}),
    "ls -d /home/vh; grep ^vh: /etc/passwd",
    ("user", {"name": "vi", "system": True, "create_home": False, "non_unique": True}),
    ("user", {"name": "vi", "system": True, "create_home": False, "move_home": True}),
    ("user", {"name": "vi", "group": "", "comment": "x"}),
    ("user", {"name": "vi", "shell": ""}),
    ("user", {"name": "vi", "home": ""}),
]


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    yield from isolated.target(tmp_path_factory)


@pytest.fixture(scope="module")
def oracle(tmp_path_factory):
    yield from isolated.oracle(tmp_path_factory)


def test_steps(run, oracle):
    isolated.replay("user", STEPS, run, oracle)


def test_secrets_are_in_no_argument(run):
    """Programs of the system are replaced by ones that note their arguments first."""
    made = run(
        "shell",
        {
            "cmd": "mkdir /etc/noted; for name in useradd usermod chpasswd chage ssh-keygen; do"
            ' printf \'#!/bin/sh\\necho "$0 $*" >> /etc/noted/log\\nexec %s "$@"\\n\' $(command -v $name)'
            " > /etc/noted/$name; chmod 755 /etc/noted/$name; done"
        },
    )
    assert made["rc"] == 0, made
    fields = {"name": "wa", "generate_ssh_key": True, "ssh_key_type": "ed25519", "ssh_key_passphrase": "tell nobody"}
    for password in (HASH, OTHER):
        result = run("user", {**fields, "password": password}, environment={"PATH": "/etc/noted:/usr/sbin:/usr/bin"})
        assert result["changed"] and not result.get("failed"), result
        assert "tell nobody" not in str(result) and password not in str(result)
    noted = run("shell", {"cmd": "cat /etc/noted/log; grep ^wa: /etc/shadow"})["stdout"]
    assert "useradd" in noted and "chpasswd" in noted and "ssh-keygen" in noted
    log, _, shadow = noted.rpartition("\n")
    assert HASH not in log and OTHER not in log and "tell nobody" not in log
    assert OTHER in shadow
    opened = run("command", {"argv": ["ssh-keygen", "-y", "-P", "tell nobody", "-f", result["ssh_key_file"]]})
    assert opened["rc"] == 0 and opened["stdout"].split()[:2] == result["ssh_public_key"].split()[:2]


def test_a_planted_link_leads_nowhere(run):
    run("user", {"name": "wb"})
    run("shell", {"cmd": "mkdir -m 700 /etc/precious && ln -s /etc/precious ~wb/.ssh && chown -h wb: ~wb/.ssh"})
    result = run("user", {"name": "wb", "generate_ssh_key": True, "ssh_key_type": "ed25519"})
    assert result["failed"]
    assert run("shell", {"cmd": "ls /etc/precious"})["stdout"] == ""


def test_diff(run):
    created = run("user", {"name": "wc", "comment": "One", "password": HASH}, check=True, diff=True)
    assert created["diff"]["before"] == {"state": "absent"}
    assert created["diff"]["after"] == {"state": "present", "comment": "One", "password": "NOT_LOGGING_PASSWORD"}
    run("user", {"name": "wc", "comment": "One"})
    changed = run("user", {"name": "wc", "comment": "Two", "groups": ["adm"], "expires": 86400}, diff=True)
    assert changed["diff"] == {
        "before": {"comment": "One", "groups": [], "expires": "never"},
        "after": {"comment": "Two", "groups": ["adm"], "expires": "1970-01-02"},
    }
    assert run("user", {"name": "wc", "state": "absent"}, diff=True)["diff"] == {
        "before": {"state": "present"},
        "after": {"state": "absent"},
    }
