"""The container runtime itself, on the machine that shall run containers.

What the action on the controller and this module say to each other: `_runtime` is the beginning of the digest of the
controller's runtime. Where that is not installed, and is to be, the answer is {"need": "runtime"}: the action runs the
module again with the file as upload and `_sha256`, its digest.
"""

import os
import shutil
import sys

from shepherd.remote import installed, process

SPEC = {
    "summary": "Manage the container runtime on a machine",
    "description": "Puts Shepherd's own container runtime on the target: one file of Python sources, checked by digest,"
    " unpacked into a folder whose name is made of its content. Containers that run go on with the version that started"
    " them. The other container modules see to it by themselves: this one is for having it without containers, for"
    " knowing what a machine lacks, and for taking it away.",
    "options": {
        "state": {
            "type": "str",
            "choices": ["absent", "present"],
            "default": "present",
            "help": "Whether the runtime shall be there. `absent` is refused while containers run. Images, volumes and"
            " containers that are stopped stay in `/var/lib/shepherd`, unless `purge` is given.",
        },
        "force": {
            "type": "bool",
            "default": False,
            "help": "With `absent`: stop the containers that run. With `present`: install it again.",
        },
        "purge": {
            "type": "bool",
            "default": False,
            "help": "With `absent`: remove all containers, images, networks and volumes, with all data in them.",
        },
    },
    "returns": {
        "path": {"type": "str", "help": "Its folder.", "sample": "/usr/local/lib/shepherd/runtime-1f2e-py3.11"},
        "version": {"type": "str", "help": "The beginning of the digest of its content.", "sample": "1f2e3d4c5b6a7988"},
        "python": {"type": "str", "help": "The Python that runs it.", "sample": "3.11.2"},
        "lacks": {
            "type": "list",
            "help": "What this machine has not, and what that means.",
            "sample": ["no program nft or iptables: containers have no way out"],
        },
        "boot": {
            "type": "str",
            "help": "The file that has containers started with the machine.",
            "sample": "/etc/systemd/system/shepherd-runtime.service",
        },
    },
    "check": "full",
    "diff": "full",
    "platforms": ["linux"],
    "since": "0.1",
    "examples": """
- name: The runtime, before anything needs it
  container_runtime:
  register: runtime

- name: Machines that cannot limit what containers use are no place for them
  assert:
    that: runtime.lacks == []
    fail_msg: "{{ runtime.lacks | join('; ') }}"

- name: No containers any more, nor anything of them
  container_runtime:
    state: absent
    force: true
    purge: true
""",
}

ROOTS = ("/var/lib/shepherd", "/run/shepherd")
UNITS = ("/etc/systemd/system/shepherd-runtime.service", "/etc/cron.d/shepherd-runtime")
KERNEL = (4, 18)


def run(task):
    found = installed.find(task)
    if task.args["state"] == "absent":
        return _absent(task)
    before = installed.current()
    if found is not None and found.version == task.args["_runtime"] and not task.args["force"]:
        return _about(task, found.home, before)
    if task.check:
        result = {"changed": True, "version": task.args["_runtime"], "lacks": lacks(), "python": _python()}
        if task.diff:
            result["diff"] = _diff(before, task.args["_runtime"])
        return result
    if task.upload is None:
        return installed.needed()
    return _about(task, _install(task), before)


def _about(task, home, before):
    boot = next((path for path in UNITS if os.path.exists(path)), "")
    version = installed.Runtime(task, home).version
    result = {"changed": before != home or bool(task.args["force"]), "path": home, "version": version}
    if result["changed"] and task.diff:
        result["diff"] = _diff(before, version)
    return dict(result, boot=boot, lacks=lacks(), python=_python())


def _diff(before, version):
    old = {"runtime": "absent" if before is None else os.path.basename(before).split("-")[1]}
    return {"before": old, "after": {"runtime": version}}


def _python():
    return "%d.%d.%d" % sys.version_info[:3]


def _install(task):
    """Verify the file and have it install itself; its folder."""
    import hashlib

    content = task.upload.read()
    if hashlib.sha256(content).hexdigest() != task.args["_sha256"]:
        task.fail("the runtime did not arrive as it was sent: its digest is another")
    old = os.umask(0o022)
    try:
        os.makedirs(installed.FOLDER, exist_ok=True)
        beside = os.path.join(installed.FOLDER, ".arriving-%s" % os.urandom(8).hex())
        try:
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(descriptor, "wb") as file:
                file.write(content)
            done = process.run([sys.executable, "-I", "-S", beside, "install"])
        finally:
            os.unlink(beside)
    except OSError as error:
        task.fail("could not install the runtime in %s: %s" % (installed.FOLDER, error.strerror))
    finally:
        os.umask(old)
    if done.status:
        task.fail("could not install the runtime: " + installed.told(done))
    home = done.stdout.strip()
    if installed.Runtime(task, home).version != task.args["_runtime"]:
        task.fail("the runtime that was installed is not the one that was sent: %s" % home)
    started = installed.Runtime(task, home).attempt(["boot", "install"])
    if started.status:
        task.warn("containers will not start with this machine: " + installed.told(started))
    return home


def lacks():
    """What this machine has not."""
    found = []
    release = os.uname().release
    numbers = tuple(int(word) for word in release.split("-")[0].split(".")[:2] if word.isdigit())
    if numbers < KERNEL:
        found.append("a kernel from %d.%d on: this is %s, and containers will not start" % (KERNEL + (release,)))
    with open("/proc/filesystems") as file:
        if "overlay" not in file.read().split() and not _module("overlay"):
            found.append("the file system overlay (the kernel's module of that name): containers will not start")
    found += _groups()
    if not any(_program(name) for name in ("nft", "iptables")):
        found.append("a program nft or iptables: containers reach each other and the host, and there is no way out")
    if not any(os.path.exists(path) for path in ("/run/systemd/system", "/etc/cron.d")):
        found.append("systemd or cron: containers do not start with the machine")
    return found


def _groups():
    """Controllers of control groups that the limits of containers need."""
    with open("/proc/self/mounts") as file:
        mounts = [line.split()[1:4] for line in file]
    there = {word for _place, kind, options in mounts if kind == "cgroup" for word in options.split(",")}
    for place, kind, _options in mounts:
        if kind == "cgroup2":
            try:
                with open(os.path.join(place, "cgroup.controllers")) as file:
                    there.update(file.read().split(), ("devices",))
            except OSError:
                continue
    missing = [name for name in ("memory", "cpu", "pids", "devices") if name not in there]
    what = "limits of these cannot be set" if "devices" not in missing else "containers will not start"
    return ["control groups with %s: %s" % (", ".join(missing), what)] if missing else []


def _module(name):
    folder = os.path.join("/lib/modules", os.uname().release)
    for known in ("modules.builtin", "modules.dep"):
        try:
            with open(os.path.join(folder, known)) as file:
                if "/%s.ko" % name in file.read():
                    return True
        except OSError:
            continue
    return False


def _program(name):
    places = os.environ.get("PATH", "").split(":") + ["/usr/sbin", "/sbin", "/usr/bin"]
    return any(os.access(os.path.join(place, name), os.X_OK) for place in places)


# Taking it away


def _absent(task):
    home = installed.current()
    folders = _installed_folders()
    rests = [path for path in ROOTS if os.path.isdir(path) and os.listdir(path)] if task.args["purge"] else []
    running = _running(task, home)
    result = {"changed": bool(folders or rests or os.path.lexists(installed.LINK))}
    if running and not task.args["force"]:
        task.fail(
            "containers run here: %s; stop them first, or say `force: true`" % ", ".join(sorted(running)),
            running=sorted(running),
        )
    if task.diff and result["changed"]:
        result["diff"] = {
            "before": {"runtime": "present", "running": sorted(running), "data": rests},
            "after": {"runtime": "absent", "running": [], "data": []},
        }
    if task.check or not result["changed"]:
        return result
    if home is not None:
        runtime = installed.Runtime(task, home)
        if task.args["purge"]:
            _remove_everything(runtime)
        else:
            runtime.run(["boot", "stop"])
        runtime.run(["boot", "remove"])
    for path in [installed.LINK]:
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    if task.args["purge"]:
        _empty(rests)
    return result


def _remove_everything(runtime):
    records = runtime.part("containers.record")
    folders = runtime.folders
    names = [one.id for one in records.everything(folders)]
    if names:
        runtime.run(["rm", "-f", "-v"] + names)
    kept = runtime.part("network.records").Records()
    for one in kept.networks():  # not by the command, which keeps the one that all share
        runtime.part("network.release").remove_network(kept, one)


def _empty(roots):
    """Their content; one of them may be a mount point."""
    for root in roots:
        for name in os.listdir(root):
            path = os.path.join(root, name)
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path, ignore_errors=True)
            else:
                os.unlink(path)


def _installed_folders():
    try:
        names = os.listdir(installed.FOLDER)
    except OSError:
        return []
    return [os.path.join(installed.FOLDER, name) for name in names if name.startswith(("runtime-", ".arriving-"))]


def _running(task, home):
    """Names of containers that have a monitor."""
    if home is None or not os.path.isdir(os.path.join(ROOTS[0], "containers")):
        return []
    runtime = installed.Runtime(task, home)
    records = runtime.part("containers.record")
    return [one.name for one in records.everything(runtime.folders) if one.monitor()]
