"""Units of a real systemd, in a lab host. What is expected was seen with ansible-core 2.18."""

import time

import lab_target
import pytest

pytestmark = pytest.mark.systemd

UNITS = {
    "tt.service": "[Unit]\nDescription=T\n[Service]\nExecStart=/bin/sleep 1000\nExecReload=/bin/true\n"
    "[Install]\nWantedBy=multi-user.target\n",
    "failing.service": "[Service]\nType=oneshot\nExecStart=/bin/false\n",
    "plain.service": "[Service]\nExecStart=/bin/sleep 1000\n",
}
NO_RELOAD = (
    "Unable to reload service plain: Failed to reload plain.service: Job type reload is not applicable for unit"
    " plain.service."
)


@pytest.fixture(scope="module")
def target(systemd_host, tmp_path_factory):
    for name, content in UNITS.items():
        systemd_host.exec(["tee", f"/etc/systemd/system/{name}"], stdin=content)
    systemd_host.exec(["systemctl", "daemon-reload"])
    yield from lab_target.target(systemd_host, tmp_path_factory)


def show(host, name="tt"):
    """How systemd sees the unit: active, enabled."""
    told = host.exec(["systemctl", "show", "-P", "ActiveState", "-P", "UnitFileState", "--", name])
    return tuple(told.stdout.split())


def wait_for_jobs(host):
    """Until what was asked for without waiting is done: a restart still under way would start what a step stops."""
    deadline = time.monotonic() + 30
    while "tt.service" in host.exec(["systemctl", "list-jobs", "--no-legend"]).stdout:
        assert time.monotonic() < deadline
        time.sleep(0.05)


# options, check mode, fields of the result, how the unit is then
STEPS = [
    ({}, False, {"changed": False, "name": "tt"}, ("inactive", "disabled")),
    ({"state": "started"}, True, {"changed": True, "state": "started"}, ("inactive", "disabled")),
    ({"state": "started"}, False, {"changed": True, "state": "started"}, ("active", "disabled")),
    ({"state": "started"}, False, {"changed": False, "state": "started"}, ("active", "disabled")),
    ({"state": "restarted"}, False, {"changed": True, "state": "started"}, ("active", "disabled")),
    ({"state": "reloaded"}, True, {"changed": True, "state": "started"}, ("active", "disabled")),
    ({"state": "reloaded"}, False, {"changed": True, "state": "started"}, ("active", "disabled")),
    ({"enabled": True}, True, {"changed": True, "enabled": True}, ("active", "disabled")),
    ({"enabled": True}, False, {"changed": True, "enabled": True}, ("active", "enabled")),
    ({"enabled": True, "state": "started"}, False, {"changed": False, "enabled": True}, ("active", "enabled")),
    ({"enabled": False, "state": "stopped"}, False, {"changed": True, "state": "stopped"}, ("inactive", "disabled")),
    ({"state": "stopped"}, False, {"changed": False}, ("inactive", "disabled")),
    ({"state": "reloaded"}, False, {"changed": True, "state": "started"}, ("active", "disabled")),
    ({"state": "restarted", "no_block": True}, False, {"changed": True}, None),
    ({"enabled": True, "force": True, "daemon_reload": True}, False, {"changed": True}, None),
    ({"state": "stopped", "enabled": False}, False, {"changed": True}, ("inactive", "disabled")),
    ({"masked": False}, False, {"changed": False}, ("inactive", "disabled")),
]


def test_steps(run, systemd_host):
    for number, (options, check, expected, then) in enumerate(STEPS):
        result = run("systemd_service", {"name": "tt", **options}, check=check)
        assert not result.get("failed"), (number, result)
        assert {key: result.get(key) for key in expected} == expected, (number, result)
        if options.get("no_block"):
            wait_for_jobs(systemd_host)
        assert then is None or show(systemd_host) == then, number


def test_status_is_what_was(run, systemd_host):
    before = systemd_host.exec(["systemctl", "show", "plain.service"]).stdout
    status = run("systemd_service", {"name": "plain", "state": "started"})["status"]
    assert status["ActiveState"] == "inactive" and status["Id"] == "plain.service"
    for line in before.splitlines():
        name, _, value = line.partition("=")
        if not value.startswith("{") and "{" not in status.get(name, ""):
            assert sorted(status[name].split()) == sorted(value.split()), name
    assert run("systemd_service", {"name": "plain", "state": "stopped"})["status"]["ActiveState"] == "active"


def test_mask(run, systemd_host):
    for options, changed in (({"masked": True}, True), ({"masked": True}, False)):
        assert run("systemd_service", {"name": "cron", **options})["changed"] is changed
    assert run("systemd_service", {"name": "cron", "enabled": True})["changed"] is False
    refused = run("systemd_service", {"name": "tt", "masked": True})
    assert refused["msg"].startswith(
        "Failed to mask the service (tt): Failed to mask unit: File /etc/systemd/system/tt"
    )
    for options, changed in (({"masked": False}, True), ({"masked": False}, False)):
        assert run("systemd_service", {"name": "cron", **options})["changed"] is changed
    assert run("systemd_service", {"name": "no-such", "masked": True})["changed"] is True
    assert run("systemd_service", {"name": "no-such", "masked": False})["changed"] is True


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "no-such", "state": "started"}, "Could not find the requested service no-such: host"),
        ({"name": "no-such", "enabled": False}, "Could not find the requested service no-such: host"),
        ({"name": "t*", "state": "started"}, "This module does not currently support using glob patterns, found '*'"),
        ({"name": "failing", "state": "started"}, "Unable to start service failing: Job for failing.service failed"),
        ({"name": "tt", "state": "started", "scope": "user"}, "Failed to connect to bus: "),
        ({"name": "tt", "state": "started", "scope": "global"}, "What all users get has no state"),
    ],
)
def test_failures(run, options, message):
    result = run("systemd_service", options)
    assert result["failed"] and result["msg"].startswith(message), result


def test_what_cannot_be_reloaded(run):
    run("systemd_service", {"name": "plain", "state": "started"})
    assert run("systemd_service", {"name": "plain", "state": "reloaded"})["msg"] == NO_RELOAD
    run("systemd_service", {"name": "plain", "state": "stopped"})


def test_what_has_nothing_to_enable(run):
    for enabled in (True, False):
        assert run("systemd_service", {"name": "plain", "enabled": enabled})["changed"] is False


def test_without_a_name(run):
    nothing = {"changed": False, "name": None, "status": {}}
    assert run("systemd_service", {"daemon_reload": True}) == nothing
    assert run("systemd_service", {"daemon_reexec": True}) == nothing


def test_diff(run):
    result = run("systemd_service", {"name": "tt", "state": "started", "enabled": True}, check=True, diff=True)
    assert result["diff"] == {
        "before": {"enabled": False, "state": "inactive"},
        "after": {"enabled": True, "state": "active"},
    }


def test_service_is_systemds_here(run, systemd_host):
    result = run("service", {"name": "tt", "state": "started", "arguments": "x", "pattern": "y", "sleep": 1})
    assert result["changed"] and result["state"] == "started" and result["status"]["ActiveState"] == "inactive"
    assert run("service", {"name": "tt", "state": "started"})["changed"] is False
    assert run("service", {"name": "tt", "state": "stopped", "use": "systemd"})["changed"]
    assert show(systemd_host) == ("inactive", "disabled")


def test_user_manager_everywhere(run, systemd_host):
    unit = "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=default.target\n"
    systemd_host.exec(["tee", "/etc/systemd/user/uu.service"], stdin=unit)
    for enabled, changed in ((True, True), (True, False), (False, True), (False, False)):
        result = run("systemd_service", {"name": "uu", "enabled": enabled, "scope": "global"})
        assert result["changed"] is changed and not result.get("failed"), result


def test_facts(run):
    found = run("setup", {"gather_subset": ["!all", "!min", "systemd", "service_mgr"]})["ansible_facts"]
    assert found["ansible_service_mgr"] == "systemd"
    assert found["ansible_systemd"]["version"] > 200 and "+" in found["ansible_systemd"]["features"]
