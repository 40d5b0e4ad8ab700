"""apt with a repository of our own, in a lab host. What is expected was seen with ansible-core 2.18."""

import pytest
from installed import REPOSITORY, version

pytestmark = pytest.mark.lab


def play(run, host, steps):
    """Steps: options, flags, fields of the result, versions then. A field with ... must be there, whatever it holds."""
    for number, (options, flags, expected, then) in enumerate(steps):
        result = run("apt", options, check="check" in flags, diff="diff" in flags)
        for key, value in expected.items():
            if value is ...:
                assert key in result, (number, result)
            else:
                assert result.get(key) == value, (number, key, result)
        assert {name: version(host, name) for name in then} == then, number


CHANGED, SAME = {"changed": True, "failed": None}, {"changed": False, "failed": None}
UPGRADED = {
    "prepared": "The following packages will be upgraded:\n  sh-foo\n"
    "1 upgraded, 0 newly installed, 0 to remove and 0 not upgraded."
}


def test_versions(run, host):
    play(
        run,
        host,
        [
            ({"name": "sh-foo=1.0"}, "check", {**CHANGED, "stdout": ..., "stderr": ...}, {"sh-foo": ""}),
            (
                {"name": "sh-foo=1.0"},
                "",
                {**CHANGED, "cache_updated": False, "cache_update_time": ...},
                {"sh-foo": "1.0"},
            ),
            ({"name": "sh-foo"}, "", SAME, {"sh-foo": "1.0"}),
            ({"name": "sh-foo=1.0"}, "", SAME, {}),
            ({"name": "sh-foo>=1.0"}, "", SAME, {}),
            ({"name": "sh-foo=1.*"}, "check", CHANGED, {}),  # a pattern asks for the best that fits
            ({"name": "sh-foo=1.1"}, "diff", {**CHANGED, "diff": UPGRADED}, {"sh-foo": "1.1"}),
            ({"name": "sh-foo", "state": "latest"}, "check", CHANGED, {"sh-foo": "1.1"}),
            ({"name": "sh-foo>=2.0~"}, "", CHANGED, {"sh-foo": "2.0~rc1"}),
            ({"name": "sh-foo", "state": "latest"}, "", SAME, {}),
            ({"name": "sh-foo=1.0"}, "", {"failed": True, "rc": 100, "stderr": ...}, {"sh-foo": "2.0~rc1"}),
            ({"name": "sh-foo=1.*", "allow_downgrade": True}, "", CHANGED, {"sh-foo": "1.1"}),
            ({"name": "sh-foo=9"}, "", {"failed": True, "msg": "no available installation candidate for sh-foo=9"}, {}),
            (
                {"name": "sh-foo=9.*"},
                "",
                {"failed": True, "msg": "no available installation candidate for sh-foo=9.*"},
                {},
            ),
            (
                {"name": "sh-foo>=9"},
                "",
                {"failed": True, "msg": "no available installation candidate for sh-foo>=9"},
                {},
            ),
            ({"name": "sh-foo=1.0", "state": "absent"}, "", SAME, {"sh-foo": "1.1"}),
            ({"name": "sh-foo", "state": "absent"}, "check diff", {**CHANGED, "diff": ...}, {"sh-foo": "1.1"}),
            ({"name": "sh-foo", "state": "absent"}, "", {**CHANGED, "cache_updated": None}, {"sh-foo": ""}),
            ({"name": "sh-foo", "state": "absent"}, "", SAME, {}),
        ],
    )


def test_several(run, host):
    both = {"sh-foo": "2.0~rc1", "sh-bar": "1.0"}
    neither = {"sh-foo": "", "sh-bar": ""}
    play(
        run,
        host,
        [
            ({"name": ["sh-bar", "sh-baz"]}, "", CHANGED, {**both, "sh-baz": "1.0"}),
            ({"name": "sh-bar, sh-baz"}, "", SAME, {}),
            ({"name": "sh-ba*"}, "", SAME, {}),
            ({"name": "sh-foo", "state": "absent"}, "", CHANGED, neither),
            ({"name": "sh-ba*"}, "", CHANGED, both),
            ({"name": "sh-b*", "state": "absent", "autoremove": True}, "", CHANGED, {**neither, "sh-baz": ""}),
            ({"name": "sh-b*", "state": "absent"}, "", SAME, {}),
            ({"name": "sh-none*"}, "", {"failed": True, "msg": "No package(s) matching 'sh-none*' available"}, {}),
            (
                {"name": ["sh-baz", "sh-none"]},
                "",
                {"failed": True, "msg": "No package matching 'sh-none' is available"},
                {},
            ),
            ({"name": "sh-none", "state": "absent"}, "", SAME, {}),
            ({"name": ""}, "", {"failed": True, "msg": "No package matching '' is available"}, {}),
            (
                {"name": "/etc/passwd"},
                "",
                {"failed": True, "msg": "No package matching '/etc/passwd' is available"},
                {},
            ),
            ({"name": "sh-broken"}, "", {"failed": True, "rc": 100, "stdout": ..., "stderr": ...}, {"sh-broken": ""}),
        ],
    )


@pytest.mark.parametrize("name", ["sh-foo-", "sh-foo+", "sh-fo.", "^sh-foo$", "sh-foo:arm64", "sh-missing", "-y"])
def test_apt_get_is_not_led_astray(run, host, name):
    """It would take these for orders to remove or to install, for regular expressions, for options."""
    run("apt", {"name": "sh-foo"})
    for state in ("present", "latest"):
        result = run("apt", {"name": name, "state": state})
        assert result["failed"] and result["msg"] == f"No package matching '{name}' is available"
    assert not run("apt", {"name": name, "state": "absent"})["changed"]
    assert version(host, "sh-foo") == "2.0~rc1"


def test_one_that_could_not_be_configured(run):
    for _ in range(2):  # its files are there, but that is not what was asked for
        result = run("apt", {"name": "sh-failing"})
        assert result["failed"] and result["rc"] == 100 and "returned an error code (1)" in result["msg"]
    assert run("apt", {"name": "sh-failing", "state": "absent"})["changed"]


def test_what_is_provided(run, host):
    play(
        run,
        host,
        [
            ({"name": "sh-mail"}, "", {"failed": True, "msg": ..., "stdout": ...}, {}),  # two provide it
            ({"name": "sh-mail-a"}, "", CHANGED, {}),
            ({"name": "sh-mail"}, "", SAME, {"sh-mail-b": ""}),
            ({"name": "sh-virtual"}, "", CHANGED, {"sh-impl": "1.0"}),
            ({"name": "sh-virtual"}, "", SAME, {}),
            ({"name": "sh-impl:all"}, "", SAME, {}),
        ],
    )


def test_recommended_and_upgrades_only(run, host):
    play(
        run,
        host,
        [
            ({"name": "sh-rec", "install_recommends": False}, "", CHANGED, {"sh-rec": "1.0", "sh-baz": ""}),
            ({"name": "sh-rec", "state": "absent"}, "", CHANGED, {}),
            ({"name": "sh-rec", "install_recommends": True}, "", CHANGED, {"sh-baz": "1.0"}),
            ({"name": "sh-rec", "state": "absent", "autoremove": True}, "", CHANGED, {"sh-rec": "", "sh-baz": ""}),
            ({"name": "sh-foo", "only_upgrade": True}, "", SAME, {"sh-foo": ""}),
            ({"name": "sh-foo=1.0"}, "", CHANGED, {}),
            ({"name": "sh-foo", "only_upgrade": True, "state": "latest"}, "", CHANGED, {"sh-foo": "2.0~rc1"}),
        ],
    )


def test_configuration(run, host):
    run("apt", {"name": "sh-conf=1.0"})
    host.exec(["tee", "-a", "/etc/sh-conf.conf"], stdin="mine\n")
    play(run, host, [({"name": "sh-conf", "state": "latest"}, "", CHANGED, {"sh-conf": "1.1"})])
    assert host.exec(["cat", "/etc/sh-conf.conf"]).stdout == "v=1.0\nmine\n"
    play(
        run,
        host,
        [
            ({"name": "sh-conf", "state": "absent"}, "", CHANGED, {"sh-conf": ""}),
            ({"name": "sh-conf", "state": "absent"}, "", SAME, {}),
            ({"name": "sh-conf", "state": "absent", "purge": True}, "", CHANGED, {}),
            ({"name": "sh-conf", "state": "absent", "purge": True}, "", SAME, {}),
        ],
    )
    assert host.exec(["ls", "/etc/sh-conf.conf"], check=False).returncode
    run("apt", {"name": "sh-conf=1.0"})
    host.exec(["tee", "-a", "/etc/sh-conf.conf"], stdin="mine\n")
    run("apt", {"name": "sh-conf=1.1", "dpkg_options": "force-confnew"})
    assert host.exec(["cat", "/etc/sh-conf.conf"]).stdout == "v=1.1\n"


def test_the_lists(run, host):
    def age(seconds):
        host.exec(["touch", "-d", f"{seconds} seconds ago", "/var/lib/apt/lists"])
        host.exec(["rm", "-f", "/var/lib/apt/periodic/update-success-stamp"])

    fetched, kept = {**CHANGED, "cache_updated": True}, {**SAME, "cache_updated": False}
    age(7200)
    play(
        run,
        host,
        [
            ({"cache_valid_time": 86400}, "", kept, {}),
            ({"update_cache": True, "cache_valid_time": 3600}, "check", fetched, {}),
            ({"update_cache": True, "cache_valid_time": 3600}, "", fetched, {}),
            ({"update_cache": True, "cache_valid_time": 3600}, "", kept, {}),
            ({"update_cache": True}, "", fetched, {}),
            ({"update_cache": True, "name": "sh-baz"}, "", fetched, {"sh-baz": "1.0"}),
            ({"update_cache": True, "name": "sh-baz"}, "", {**SAME, "cache_updated": True}, {}),
            ({}, "", kept, {}),
        ],
    )
    host.exec(["tee", "/etc/apt/sources.list.d/gone.list"], stdin="deb [trusted=yes] file:/srv/gone ./\n")
    try:
        failed = run("apt", {"update_cache": True, "update_cache_retries": 2, "update_cache_retry_max_delay": 0})
    finally:
        host.exec(["rm", "/etc/apt/sources.list.d/gone.list"])
    assert failed["failed"] and failed["msg"].startswith("Failed to update apt cache after 2 retries: ")


@pytest.mark.parametrize("kind", ["dist", "full", "safe", "yes"])
def test_upgrade(run, host, kind):
    run("apt", {"name": "sh-foo=1.0"})
    play(
        run,
        host,
        [
            ({"upgrade": kind}, "check", {**CHANGED, "msg": ..., "stdout": ...}, {"sh-foo": "1.0"}),
            ({"upgrade": kind, "force_apt_get": True}, "", CHANGED, {"sh-foo": "2.0~rc1"}),
            ({"upgrade": kind}, "", SAME, {}),
            ({"upgrade": "no"}, "", SAME, {}),
        ],
    )


def test_everything_to_the_latest(run, host):
    run("apt", {"name": "sh-foo=1.0"})
    play(run, host, [({"name": "*", "state": "latest"}, "", CHANGED, {"sh-foo": "2.0~rc1"})])


def test_files(run, host):
    def deb(name):
        return f"{REPOSITORY}/{name}_all.deb"

    play(
        run,
        host,
        [
            ({"deb": deb("sh-foo_1.0")}, "check", CHANGED, {"sh-foo": ""}),
            ({"deb": deb("sh-foo_1.0")}, "", CHANGED, {"sh-foo": "1.0"}),
            ({"deb": deb("sh-foo_1.0")}, "", SAME, {}),
            ({"deb": deb("sh-foo_1.1")}, "diff", {**CHANGED, "diff": UPGRADED}, {"sh-foo": "1.1"}),
            ({"deb": deb("sh-foo_1.0")}, "", {"failed": True, "msg": "A later version is already installed"}, {}),
            ({"deb": deb("sh-foo_1.0"), "allow_downgrade": True}, "", CHANGED, {"sh-foo": "1.0"}),
            ({"name": "sh-foo", "state": "absent"}, "", CHANGED, {}),
            ({"deb": deb("sh-bar_1.0")}, "", CHANGED, {"sh-bar": "1.0", "sh-foo": "2.0~rc1"}),  # what it needs, too
            ({"deb": deb("sh-broken_1.0")}, "", {"failed": True, "rc": 100}, {"sh-broken": ""}),
            ({"deb": "/none.deb"}, "", {"failed": True, "msg": ...}, {}),
            ({"deb": "/etc/passwd"}, "", {"failed": True, "msg": ...}, {}),
        ],
    )


def test_file_from_a_server(run, host):
    serve = f"cd {REPOSITORY} && exec python3 -m http.server --bind 127.0.0.1 8099"
    host.exec(["sh", "-c", f"({serve}) >/dev/null 2>&1 & echo $! > /run/server"])
    try:
        run("wait_for", {"port": 8099, "timeout": 20})
        url = "http://127.0.0.1:8099/sh-baz_1.0_all.deb"
        play(run, host, [({"deb": url}, "", CHANGED, {"sh-baz": "1.0"}), ({"deb": url}, "", SAME, {})])
        gone = run("apt", {"deb": "http://127.0.0.1:8099/none.deb"})
        assert gone["failed"] and gone["msg"].startswith("Failure downloading http://127.0.0.1:8099/none.deb")
    finally:
        host.exec(["sh", "-c", "kill $(cat /run/server)"])
    assert host.exec(["sh", "-c", "ls -d /tmp/shepherd-deb-* 2>/dev/null | wc -l"]).stdout == "0\n"


def test_what_nothing_needs(run, host):
    run("apt", {"name": "sh-bar"})
    assert host.exec(["apt-mark", "showauto", "sh-foo"]).stdout == "sh-foo\n"
    run("apt", {"name": "sh-bar", "state": "absent"})
    play(
        run,
        host,
        [
            ({"autoremove": True}, "check", CHANGED, {"sh-foo": "2.0~rc1"}),
            ({"autoremove": True}, "", CHANGED, {"sh-foo": ""}),
            ({"autoremove": True}, "", SAME, {}),
            ({"clean": True}, "", CHANGED, {}),
            ({"clean": True}, "check", CHANGED, {}),
            ({"clean": True, "name": "dpkg"}, "", SAME, {}),
            ({"autoclean": True}, "", SAME, {}),
        ],
    )
    run("apt", {"name": "sh-bar"})
    assert run("apt", {"name": "sh-foo"})["changed"] is False
    assert host.exec(["apt-mark", "showauto", "sh-foo"]).stdout == "", "asked for by name, it is wanted for itself"


def test_held(run, host):
    run("apt", {"name": "sh-foo=1.0"})
    host.exec(["apt-mark", "hold", "sh-foo"])
    play(
        run,
        host,
        [
            ({"name": "sh-foo", "state": "latest"}, "", {"failed": True, "rc": 100}, {"sh-foo": "1.0"}),
            (
                {"name": "sh-foo", "state": "latest", "allow_change_held_packages": True},
                "",
                CHANGED,
                {"sh-foo": "2.0~rc1"},
            ),
            ({"name": "sh-foo=1.0", "force": True}, "", CHANGED, {"sh-foo": "1.0"}),
        ],
    )


def test_fail_on_autoremove(run, host):
    """What apt would take away for it is not taken."""
    result = run("apt", {"name": "sh-foo", "fail_on_autoremove": True, "state": "latest"})
    assert result["changed"] and version(host, "sh-foo") == "2.0~rc1"


def test_essential(run, host):
    refused = run("apt", {"name": "coreutils", "state": "absent"}, check=True)
    assert refused["failed"] and "--allow-remove-essential" in refused["stderr"]
    assert run("apt", {"name": "coreutils", "state": "absent", "force": True}, check=True)["changed"]


def test_services_stay_off_meanwhile(run, host):
    host.exec(["tee", "/usr/sbin/policy-rc.d"], stdin="#!/bin/sh\n# mine\nexit 0\n")
    host.exec(
        ["tee", "/etc/apt/apt.conf.d/99note"], stdin='DPkg::Pre-Invoke {"cp /usr/sbin/policy-rc.d /run/noted";};\n'
    )
    try:
        failing = run("apt", {"name": "sh-failing", "policy_rc_d": 101})
        assert failing["failed"] and failing["rc"] == 100
        assert host.exec(["cat", "/run/noted"]).stdout == "#!/bin/sh\nexit 101\n"
        assert "# mine" in host.exec(["cat", "/usr/sbin/policy-rc.d"]).stdout
        host.exec(["rm", "/usr/sbin/policy-rc.d"])
        run("apt", {"name": "sh-failing", "policy_rc_d": 101, "state": "absent", "purge": True})
        assert host.exec(["ls", "/usr/sbin/policy-rc.d"], check=False).returncode
    finally:
        host.exec(["rm", "-f", "/usr/sbin/policy-rc.d", "/etc/apt/apt.conf.d/99note"])


HOLD = """\
import fcntl, time
file = open("/var/lib/dpkg/lock-frontend", "w")
fcntl.lockf(file, fcntl.LOCK_EX)
open("/run/held", "w")
time.sleep(60)
"""


def test_another_holds_the_lock(run, host):
    host.exec(["tee", "/run/hold"], stdin=HOLD)
    host.exec(["sh", "-c", "python3 /run/hold >/dev/null 2>&1 & echo $! > /run/holder"])
    run("wait_for", {"path": "/run/held", "timeout": 20})
    try:
        result = run("apt", {"name": "sh-foo", "lock_timeout": 0})
        assert result["failed"] and "Could not get lock" in result["stderr"]
    finally:
        host.exec(["sh", "-c", "kill -9 $(cat /run/holder)"])
    assert run("apt", {"name": "sh-foo", "lock_timeout": 30})["changed"]


def test_releases(run):
    result = run("apt", {"name": "sh-foo", "state": "latest", "default_release": "no-such"})
    assert result["failed"] and "The value 'no-such' is invalid for APT::Default-Release" in result["msg"]


def test_broken_ones_are_mended(run, host):
    host.exec(["sh", "-c", f"dpkg -i {REPOSITORY}/sh-bar_1.0_all.deb"], check=False)
    play(
        run,
        host,
        [({"state": "fixed"}, "", CHANGED, {"sh-bar": "1.0", "sh-foo": "2.0~rc1"}), ({"state": "fixed"}, "", SAME, {})],
    )


def test_build_dependencies_need_sources(run):
    result = run("apt", {"name": "sh-foo", "state": "build-dep"})
    assert result["failed"] and "deb-src" in result["msg"]
