"""What a real systemd does with the unit that comes with the runtime."""

from __future__ import annotations

import json

import pytest
from images import base, save

pytestmark = [pytest.mark.lab, pytest.mark.systemd]


def running(systemd_site):
    return set(systemd_site.runtime("ps", "--format", "{{.Names}}").split())


def test_the_unit_ends_and_starts_what_should_run_and_is_active_before_the_first_boot(systemd_site):
    systemctl = ["systemctl", "--quiet"]
    save(systemd_site.folder / "app.tar", base())
    systemd_site.good([
        {"container_image": {"name": "app:1", "archive": "app.tar"}},
        *({"name": name, "container": {"name": name, "image": "app:1", "command": "sleep 1000", "restart": "always",
           "networks": ["none"], "settle": 0.1, "stop_timeout": 1}} for name in ("serving", "resting")),
    ])  # fmt: skip
    systemd_site.host.exec([*systemctl, "is-active", "shepherd-runtime"])
    systemd_site.runtime("stop", "resting")
    # as an upgrade does it, on a machine that has not been started since
    systemd_site.runtime("boot", "remove")
    systemd_site.host.exec([*systemctl, "daemon-reload"])
    systemd_site.runtime("boot", "install")
    systemd_site.host.exec([*systemctl, "start", "shepherd-runtime"])  # and waits for the start that is under way
    assert running(systemd_site) == {"serving"}

    systemd_site.host.exec([*systemctl, "stop", "shepherd-runtime"])
    ended = json.loads(systemd_site.runtime("inspect", "serving"))[0]["State"]
    assert (ended["Status"], ended["ExitCode"]) == ("exited", 137)  # sleep, as process 1, is deaf to SIGTERM
    systemd_site.host.exec([*systemctl, "start", "shepherd-runtime"])
    assert running(systemd_site) == {"serving", "resting"}
