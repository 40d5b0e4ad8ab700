"""Services of init scripts, step by step as ansible-core brings them about, in an /etc of their own."""

import isolated
import pytest
from isolated import Differs

SCRIPT = """\
#!/bin/sh
### BEGIN INIT INFO
# Provides: iv
# Required-Start:
# Required-Stop:
# Default-Start: 2 3 4 5
# Default-Stop: 0 1 6
# Short-Description: iv
### END INIT INFO
echo "$0 $@" >> /etc/iv.log
case $1 in
start|restart) touch /etc/iv.run ;;
stop) rm -f /etc/iv.run ;;
reload) echo reloading ;;
status) if [ -e /etc/iv.run ]; then echo "iv is running"; else echo "iv is stopped"; exit 3; fi ;;
*) exit 2 ;;
esac
"""
CHECKED = Differs({"msg": None, "name": "iv", "state": "started"}, "a check says as much as a run")

STEPS = [
    ("service", {"name": "iv", "state": "started"}, "check", CHECKED),
    ("service", {"name": "iv", "state": "started"}),
    ("service", {"name": "iv", "state": "started"}),
    ("service", {"name": "iv", "state": "restarted"}),
    ("service", {"name": "iv", "state": "reloaded"}),
    ("service", {"name": "iv", "state": "reloaded"}, "check", CHECKED),
    ("service", {"name": "iv", "state": "stopped"}),
    ("service", {"name": "iv", "state": "stopped"}),
    ("service", {"name": "iv", "state": "reloaded"}),
    ("service", {"name": "iv", "state": "restarted", "arguments": "a b", "sleep": 1}),
    "cat /etc/iv.log; rm /etc/iv.log",
    ("service", {"name": "iv", "enabled": True}, "check"),
    ("service", {"name": "iv", "enabled": True}),
    ("service", {"name": "iv", "enabled": True}),
    "ls /etc/rc?.d/*iv",
    ("service", {"name": "iv", "enabled": False}),
    ("service", {"name": "iv", "enabled": False}),
    "ls /etc/rc?.d/*iv",
    ("service", {"name": "iv", "enabled": True, "state": "started"}),
    ("service", {"name": "iv", "pattern": "frobnicated 99", "state": "started"}),
    ("service", {"name": "nosuch", "state": "started"}),
    ("service", {"name": "nosuch", "enabled": True}),
    ("service", {"name": "nosuch", "state": "stopped"}),
    "printf '#!/bin/sh\\nexit 5\\n' > /etc/init.d/bad; chmod 755 /etc/init.d/bad",
    ("service", {"name": "bad", "state": "started"}),
    ("service", {"name": "bad", "state": "stopped"}),
    ("service", {"name": "bad", "state": "restarted"}),
    "cat /etc/iv.log",
]


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    yield from isolated.target(tmp_path_factory, {"init.d/iv": SCRIPT})


@pytest.fixture(scope="module")
def oracle(tmp_path_factory):
    yield from isolated.oracle(tmp_path_factory, {"init.d/iv": SCRIPT})


def test_steps(run, oracle):
    isolated.replay("service", STEPS, run, oracle)


def test_systemd_that_does_not_run(run):
    """systemctl is there, and nothing that answers it."""
    if run("shell", {"cmd": "command -v systemctl && test ! -e /run/systemd/system"})["rc"]:
        pytest.skip("needs systemctl where systemd does not run")
    run("shell", {"cmd": "mkdir -p /etc/systemd/system"})
    unit = "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n"
    run("shell", {"cmd": "cat > /etc/systemd/system/uu.service", "stdin": unit})
    for enabled, changed in ((True, True), (True, False), (False, True)):
        assert run("systemd_service", {"name": "uu", "enabled": enabled})["changed"] is changed
    missing = run("systemd_service", {"name": "no-such", "enabled": True}, check=True)
    assert missing["msg"] == "Could not find the requested service no-such: host"
    refused = run("systemd_service", {"name": "uu", "state": "started"})
    assert refused["failed"] and "not been booted with systemd" in refused["msg"]
    at_rest = run("systemd_service", {"name": "uu", "state": "started"}, environment={"SYSTEMD_OFFLINE": "1"})
    assert at_rest["changed"] is False and "the state of uu stays" in at_rest["warnings"][0]
