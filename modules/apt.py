"""Packages of Debian and its kin."""

import re

SPEC = {
    "summary": "Manage packages with apt",
    "description": "Installs, upgrades and removes packages, with `apt-get` alone: python3-apt is not needed.",
    "options": {
        "name": {
            "type": "list",
            "elements": "str",
            "aliases": ["package", "pkg"],
            "help": "Packages, as `name`, `name=version`, `name>=version` or `name:architecture`; `*` stands for any"
            " text in a name or a version.",
        },
        "state": {
            "type": "str",
            "choices": ["absent", "build-dep", "fixed", "latest", "present"],
            "default": "present",
            "help": "`present`: installed, in any version. `latest`: in the newest. `absent`: removed. `build-dep`:"
            " what it takes to build them is installed. `fixed`: broken dependencies are mended.",
        },
        "update_cache": {
            "type": "bool",
            "aliases": ["update-cache"],
            "help": "First fetch the lists of packages (`apt-get update`).",
        },
        "cache_valid_time": {
            "type": "int",
            "default": 0,
            "help": "Fetch the lists only if they are older than this many seconds.",
        },
        "update_cache_retries": {"type": "int", "default": 5, "help": "How often to try to fetch the lists."},
        "update_cache_retry_max_delay": {
            "type": "int",
            "default": 12,
            "help": "The longest wait between two tries, in seconds; it doubles each time.",
        },
        "upgrade": {
            "type": "str",
            "choices": ["dist", "full", "no", "safe", "yes"],
            "default": "no",
            "help": "Upgrade all packages: `yes` or `safe` removes none, `full` and `dist` may.",
        },
        "deb": {"type": "path", "help": "The path or URL of a package file to install."},
        "autoremove": {"type": "bool", "default": False, "help": "Remove packages that nothing needs any more."},
        "autoclean": {
            "type": "bool",
            "default": False,
            "help": "Remove fetched packages that are in no list any more.",
        },
        "clean": {"type": "bool", "default": False, "help": "Remove all fetched packages."},
        "purge": {"type": "bool", "default": False, "help": "With a package, remove its configuration, too."},
        "default_release": {
            "type": "str",
            "aliases": ["default-release"],
            "help": "The release that versions are taken from, as `apt-get -t` has it.",
        },
        "install_recommends": {
            "type": "bool",
            "aliases": ["install-recommends"],
            "help": "Whether to install what packages recommend. The default is the host's.",
        },
        "only_upgrade": {"type": "bool", "default": False, "help": "Leave packages out that are not installed yet."},
        "force": {
            "type": "bool",
            "default": False,
            "help": "Do what apt warns of: downgrade, change held packages, remove essential ones, trust unsigned"
            " lists.",
        },
        "allow_unauthenticated": {
            "type": "bool",
            "default": False,
            "aliases": ["allow-unauthenticated"],
            "help": "Install packages that nobody signed.",
        },
        "allow_downgrade": {
            "type": "bool",
            "default": False,
            "aliases": ["allow-downgrade", "allow_downgrades", "allow-downgrades"],
            "help": "Install an older version than there is.",
        },
        "allow_change_held_packages": {"type": "bool", "default": False, "help": "Change packages that are on hold."},
        "fail_on_autoremove": {
            "type": "bool",
            "default": False,
            "help": "Fail rather than install something that takes other packages away.",
        },
        "force_apt_get": {
            "type": "bool",
            "default": False,
            "help": "Upgrade with `apt-get` even if `aptitude` is installed.",
        },
        "dpkg_options": {
            "type": "str",
            "default": "force-confdef,force-confold",
            "help": "Options for dpkg without their dashes, separated by commas. The default keeps changed"
            " configuration.",
        },
        "lock_timeout": {
            "type": "int",
            "default": 60,
            "help": "Seconds to wait while another program manages packages.",
        },
        "policy_rc_d": {
            "type": "int",
            "help": "What policy-rc.d answers meanwhile; 101 keeps packages from starting their services.",
        },
    },
    "constraints": {"mutually_exclusive": [["deb", "name", "upgrade"]]},
    "identity": ["name"],
    "absent": {"state": "absent"},
    "returns": {
        "cache_updated": {"type": "bool", "help": "Whether the lists were fetched.", "sample": True},
        "cache_update_time": {
            "type": "int",
            "help": "When they were last, in seconds since 1970.",
            "sample": 1425828348,
        },
        "stdout": {"type": "str", "help": "What apt wrote to its standard output."},
        "stderr": {"type": "str", "help": "What apt wrote to its standard error."},
    },
    "check": "full",
    "diff": "full",
    "platforms": ["debian"],
    "since": "0.1",
    "notes": ["That a package is installed is seen in dpkg's own records, in a few milliseconds."],
    "examples": """
- name: A web server, from lists not older than an hour
  apt:
    name: [nginx, "openssl>=3"]
    update_cache: true
    cache_valid_time: 3600

- name: Everything up to date
  apt:
    upgrade: dist
    update_cache: true
    autoremove: true
""",
}

REQUEST = re.compile(r"([^=<>]+?)\s*(>?=)\s*(.+)$")
GLOB = re.compile(r"[*?\[]")


class Request:
    """A package asked for: its name, and the version if that matters."""

    def __init__(self, text):
        found = REQUEST.match(text)
        self.text = text
        self.name, self.operator, self.version = found.groups() if found else (text, None, None)

    def settled_by(self, package):
        """Whether the installed package will do, whatever others there are. A pattern of versions asks for the best."""
        if not package.configured or (self.version and GLOB.search(self.version)):
            return False
        return self.accepts(package.version)

    def accepts(self, version):
        """Whether the version is one that is asked for."""
        if self.operator is None:
            return True
        if self.operator == ">=":
            from shepherd.remote import dpkg

            return dpkg.compare(version, self.version) >= 0
        if GLOB.search(self.version):
            import fnmatch

            return fnmatch.fnmatchcase(version, self.version)
        return version == self.version


def run(task):
    from shepherd.remote import apt_get

    args = task.args
    apt = apt_get.Apt(task)
    names = [name.strip() for name in args["name"] or ()]
    for name in names:
        if not name or "/" in name:  # apt-get would take it for a file, or for a release after the slash
            task.fail("No package matching '%s' is available" % name)
    if args["clean"]:
        apt.clean()
    updated = apt.update()
    if args["upgrade"] != "no" or ("*" in names and args["state"] == "latest"):
        return _upgrade(task, apt)
    if args["deb"]:
        from shepherd.remote import deb_file

        deb_file.install(task, apt)
    elif names and args["state"] == "absent":
        _remove(task, apt, names)
    elif names:
        _install(task, apt, names)
    elif args["state"] == "fixed":
        apt.change("install", options=_install_options(args))
    elif args["autoclean"] or args["autoremove"]:
        _clean_up(task, apt)
    else:
        apt.result["changed"] = updated or args["clean"]
    return apt.result


def _install_options(args):
    options = []
    if args["install_recommends"] is not None:
        options += ["-o", "APT::Install-Recommends=%s" % ("yes" if args["install_recommends"] else "no")]
    for option, word in (
        ("autoremove", "--auto-remove"),
        ("only_upgrade", "--only-upgrade"),
        ("fail_on_autoremove", "--no-remove"),
        ("purge", "--purge"),
    ):
        if args[option]:
            options.append(word)
    return options + (["--fix-broken"] if args["state"] == "fixed" else [])


def _upgrade(task, apt):
    from shepherd.remote import programs

    args = task.args
    kind = args["upgrade"] if args["upgrade"] != "no" else "yes"
    options = _install_options(args)
    if kind != "dist" and not args["force_apt_get"] and programs.find("aptitude"):
        apt.change("full-upgrade" if kind == "full" else "safe-upgrade", program="aptitude")
    elif kind in ("dist", "full"):
        apt.change("dist-upgrade", options=options)
    else:
        apt.change("upgrade", options=["--with-new-pkgs"] + options)
    apt.result["msg"] = apt.result["stdout"]
    return apt.result


def _clean_up(task, apt):
    """Without packages to install or to remove."""
    out = ""
    changed = task.args["clean"]
    for option, mark in (("autoclean", "\nDel "), ("autoremove", "The following packages will be REMOVED")):
        if task.args[option]:
            apt.change(option, options=["--purge"] if task.args["purge"] and option == "autoremove" else [])
            out += apt.result["stdout"]
            changed = changed or mark in apt.result["stdout"]
    apt.result.update(changed=changed, stdout=out)


def _install(task, apt, names):
    from shepherd.remote import dpkg

    args = task.args
    status = dpkg.Status()
    requests = [request for name in names for request in _expanded(task, apt, Request(name))]
    if args["state"] == "build-dep":
        apt.change("build-dep", [request.name for request in requests], _install_options(args))
        return
    present, unsettled = [], []
    for request in requests:
        package = status.package(request.name)
        if package and package.installed:
            present.append(package)
            if args["state"] != "latest" and request.settled_by(package):
                continue
        elif args["only_upgrade"]:
            continue
        unsettled.append((request, package))
    policy = apt.policy([request.name for request, _ in unsettled])
    wanted = [_wanted(task, policy, status, request, package) for request, package in unsettled]
    wanted = [word for word in wanted if word]
    if wanted:
        apt.change("install", wanted, _install_options(args))
    apt.mark_manual([package.name for package in dpkg.automatic(present)])


def _expanded(task, apt, request):
    """A pattern of names as the requests for the packages that match it."""
    if not GLOB.search(request.name):
        return [request]
    import fnmatch

    found = sorted(fnmatch.filter(apt.known_names(), request.name))
    if not found:
        task.fail("No package(s) matching '%s' available" % request.name)
    return [Request(name + (request.operator or "") + (request.version or "")) for name in found]


def _wanted(task, policy, status, request, package):
    """What apt-get is to install for the request; None where nothing is.

    apt-get must never see a name that apt does not know: it would take `foo-` for an order to remove foo, and `fo.` for
    a regular expression.
    """
    if request.name not in policy:
        task.fail("No package matching '%s' is available" % request.name)
    candidate, versions = policy[request.name]
    installed = package.version if package and package.configured else None
    if request.operator is None:
        if not versions and status.provided(request.name):
            return None
        return None if installed and candidate in (None, installed) else request.name
    accepted = [version for version in [candidate] + versions if version and request.accepts(version)]
    if not accepted:
        task.fail("no available installation candidate for %s" % request.text)
    return None if accepted[0] == installed else "%s=%s" % (request.name, accepted[0])


def _remove(task, apt, names):
    from shepherd.remote import dpkg

    args = task.args
    status = dpkg.Status()
    for key in ("cache_updated", "cache_update_time"):
        apt.result.pop(key)
    wanted = []
    for name in names:
        request = Request(name)
        if GLOB.search(request.name):
            import fnmatch

            matching = fnmatch.filter(status.names(), request.name)
            if not matching:
                _expanded(task, apt, request)  # fails where no package at all is called so
            wanted += matching
            continue
        found = status.package(request.name)
        if found is None:
            continue
        if (found.installed and request.accepts(found.version)) or (found.config and args["purge"]):
            wanted.append(request.name)
    if not wanted:
        return
    options = [word for option, word in (("purge", "--purge"), ("autoremove", "--auto-remove")) if args[option]]
    apt.change("remove", wanted, options)
