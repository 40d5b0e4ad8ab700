"""Packages of Debian and Ubuntu."""

SPEC = {
    "summary": "Manage packages with apt",
    "description": "Installs, upgrades and removes packages of Debian and its kin, with `apt-get` and `dpkg`. Nothing else"
    " is needed on the host, python3-apt neither. Where the packages are as they should be, no program is run.",
    "options": {
        "name": {
            "type": "list",
            "elements": "str",
            "aliases": ["package", "pkg"],
            "help": "Packages: `foo`, `foo:arm64`, with a version `foo=1.0`, `foo=1.0*` or `foo>=1.0`, or a pattern `foo*`."
            " Give them all in one task rather than in a loop: that is one run of apt-get.",
        },
        "state": {
            "type": "str",
            "choices": ["absent", "build-dep", "latest", "present", "fixed"],
            "default": "present",
            "help": "`latest` upgrades, too. `build-dep` installs what building the packages needs. `fixed` mends broken"
            " dependencies.",
        },
        "update_cache": {
            "type": "bool",
            "aliases": ["update-cache"],
            "help": "Fetch the lists of packages first, as `apt-get update` does.",
        },
        "cache_valid_time": {
            "type": "int",
            "default": 0,
            "help": "Fetch the lists only when they are older than this many seconds. Implies `update_cache`.",
        },
        "update_cache_retries": {"type": "int", "default": 5, "help": "How often to try again when fetching fails."},
        "update_cache_retry_max_delay": {
            "type": "int",
            "default": 12,
            "help": "The longest pause between these tries in seconds; they double from one second on.",
        },
        "upgrade": {
            "type": "str",
            "choices": ["dist", "full", "no", "safe", "yes"],
            "default": "no",
            "help": "Upgrade all packages. `safe` (or `yes`) removes none; `full` and `dist` do where that is needed.",
        },
        "deb": {"type": "path", "help": "A package in a file on the host, or the URL of one, to install."},
        "autoremove": {
            "type": "bool",
            "default": False,
            "help": "Remove packages that came as dependencies of others and are not needed any more.",
        },
        "autoclean": {
            "type": "bool",
            "default": False,
            "help": "Delete packages from the cache that cannot be downloaded any more.",
        },
        "clean": {"type": "bool", "default": False, "help": "Delete all packages from the cache, before the rest."},
        "purge": {
            "type": "bool",
            "default": False,
            "help": "Remove the configuration as well, with `state: absent`, `autoremove` or `upgrade`.",
        },
        "default_release": {
            "type": "str",
            "aliases": ["default-release"],
            "help": "The release to prefer, such as `bookworm-backports`.",
        },
        "install_recommends": {
            "type": "bool",
            "aliases": ["install-recommends"],
            "help": "Install recommended packages, too. By default as the host is configured.",
        },
        "force": {
            "type": "bool",
            "default": False,
            "help": "Go ahead with what may harm: packages that nobody signed, older versions, held ones.",
        },
        "allow_unauthenticated": {
            "type": "bool",
            "default": False,
            "aliases": ["allow-unauthenticated"],
            "help": "Install packages although nobody known has signed them.",
        },
        "allow_downgrade": {
            "type": "bool",
            "default": False,
            "aliases": ["allow-downgrade", "allow_downgrades", "allow-downgrades"],
            "help": "Replace a package by an older version, where one is asked for.",
        },
        "allow_change_held_packages": {
            "type": "bool",
            "default": False,
            "help": "Change packages that are on hold.",
        },
        "dpkg_options": {
            "type": "str",
            "default": "force-confdef,force-confold",
            "help": "Options for dpkg, separated by commas. By default configuration files that were edited stay.",
        },
        "lock_timeout": {
            "type": "int",
            "default": 60,
            "help": "How many seconds to wait while another program, such as unattended-upgrades, holds apt's lock.",
        },
        "only_upgrade": {"type": "bool", "default": False, "help": "Leave packages alone that are not installed."},
        "fail_on_autoremove": {
            "type": "bool",
            "default": False,
            "help": "Fail rather than remove a package to install or upgrade others.",
        },
        "force_apt_get": {
            "type": "bool",
            "default": False,
            "help": "Use apt-get for `upgrade`, even where aptitude is installed.",
        },
        "policy_rc_d": {
            "type": "int",
            "help": "The exit status of `/usr/sbin/policy-rc.d` during the task; 101 keeps services from being started.",
        },
    },
    "constraints": {"mutually_exclusive": [["deb", "name", "upgrade"]]},
    "identity": ["name"],
    "absent": {"state": "absent"},
    "returns": {
        "cache_updated": {"type": "bool", "help": "Whether the lists of packages were fetched."},
        "cache_update_time": {"type": "int", "help": "When that was last done, in seconds since 1970; 0 if unknown."},
        "stdout": {"type": "str", "help": "What apt-get wrote to its standard output."},
        "stderr": {"type": "str", "help": "What apt-get wrote to its standard error."},
    },
    "check": "full",
    "diff": "full",
    "platforms": ["debian"],
    "since": "0.1",
    "notes": [
        "Services of new packages are started as the distribution does; `policy_rc_d: 101` prevents it.",
    ],
    "examples": """
- name: A web server, from lists that are not older than an hour
  apt:
    name: [nginx, "openssl>=3.0"]
    update_cache: true
    cache_valid_time: 3600

- name: All security fixes
  apt:
    upgrade: dist
    autoremove: true

- name: A package that is in no repository
  apt:
    deb: https://example.org/releases/tool_1.2_amd64.deb
""",
}


def run(task):
    task.fail("apt cannot be run yet")
