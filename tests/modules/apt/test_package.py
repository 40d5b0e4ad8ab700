"""package, where packages are apt's, in a lab host. What is expected was seen with ansible-core 2.18."""

import pytest
from installed import version

pytestmark = pytest.mark.lab


def test_package_is_apts_here(run, host):
    for options, changed, then in (
        ({"state": "present", "install_recommends": "no"}, True, "1.0"),
        ({"state": "present"}, False, "1.0"),
        ({"state": "latest", "use": "apt"}, False, "1.0"),
        ({"state": "absent", "purge": "yes"}, True, ""),
    ):
        result = run("package", {"name": "sh-rec", **options})
        assert result["changed"] is changed and not result.get("failed"), result
        assert version(host, "sh-rec") == then


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"state": "frob"}, "value of state must be one of: absent, build-dep, fixed, latest, present, got: frob"),
        ({"frob": 1}, "Unsupported parameters for (apt) module: frob. Supported parameters include: allow_change"),
        ({"purge": "perhaps"}, "argument 'purge' is not of type bool: perhaps"),
        ({"deb": "/x.deb"}, "parameters are mutually exclusive: deb|name|upgrade"),
        ({"use": "frob"}, 'Could not find a matching action for the "frob" package manager.'),
        ({"use": "apk", "purge": True}, "With apk there are no more options than name and state: purge"),
    ],
)
def test_package_does_not_know(run, options, message):
    result = run("package", {"name": "sh-rec", **options})
    assert result["failed"] and result["msg"].startswith(message)


def test_package_with_what_only_apt_knows(run, host):
    assert run("package", {"pkg": "sh-foo=1.0,sh-baz"}, check=True)["changed"]
    assert run("package", {"pkg": "sh-foo=1.0,sh-baz"})["changed"]
    assert (version(host, "sh-foo"), version(host, "sh-baz")) == ("1.0", "1.0")
    assert run("package", {"update_cache": "yes", "cache_valid_time": "86400"})["cache_updated"] is False
    assert run("package", {"upgrade": False})["changed"] is False
    assert run("package", {"upgrade": True})["changed"]
    assert version(host, "sh-foo") == "2.0~rc1"
