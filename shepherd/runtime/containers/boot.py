"""After the machine's start: what should run is started, by whatever starts things on this machine."""

import os
import sys

from shepherd.runtime.containers import launch, policy, recovery, removal
from shepherd.runtime.containers import record as records
from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux import user_namespace

UNIT = "/etc/systemd/system/shepherd-runtime.service"
CRON = "/etc/cron.d/shepherd-runtime"
_UNIT = """[Unit]
Description=Containers that should run
Documentation=man:systemd.service(5)
After=network-online.target local-fs.target
Wants=network-online.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=%(start)s
ExecStop=%(stop)s
# the monitors it starts go on when it has ended
KillMode=process
Delegate=yes
TimeoutStartSec=infinity

[Install]
WantedBy=multi-user.target
"""


def start(folders) -> int:
    """Start what should run; how many could not be."""
    if _is_first(folders):
        return 0
    removal.sweep(folders)
    try:
        from shepherd.runtime.network import attach

        attach.sweep()
    except ImportError:
        pass  # there are no networks to bring back
    failed = 0
    for one in reversed(records.everything(folders)):
        state = one.state()
        lost = recovery.needed(one, state)
        wanted = policy.at_boot(one.host.get("RestartPolicy") or {}, lost, one.stopped)
        try:
            if lost:
                recovery.look_after(one)
            if wanted and records.read(folders, one.id) is not None and not one.monitor():
                connection = launch.begin(one)
                if connection is not None:
                    connection.close()
        except RuntimeFailure as error:
            failed += 1
            sys.stderr.write("shepherd-runtime: %s: %s\n" % (one.name, error.message))
    return failed


def stop(folders) -> None:
    """End all that run, as the machine is about to; what should run again is started at the next boot."""
    from shepherd.runtime.containers import stopping

    ended = []
    for one in records.everything(folders):
        connection = launch.connect(one)
        if connection is not None:
            stopping.thaw(one)
            connection.say(b"s - -")
            ended.append(connection)
    for connection in ended:
        connection.ended()


def command(folders, *words) -> list:
    """The command line that runs a verb of this runtime, with this root and state."""
    from shepherd.runtime import single_file

    home = launch.home()
    link = os.path.join(single_file.PREFIX, single_file.LINK)
    if os.path.realpath(link) == os.path.join(home, single_file.COMMAND):
        program = [link]  # what is installed later takes its place
    elif os.path.isfile(home):
        program = [sys.executable, "-I", "-S", home]
    else:
        text = "import sys; sys.path.insert(0, %r); from shepherd.runtime.cli import main; sys.exit(main())" % home
        program = [sys.executable, "-I", "-S", "-c", text]
    places = []
    if folders.root != "/var/lib/shepherd":
        places += ["--root", folders.root]
    if folders.state != "/run/shepherd":
        places += ["--state", folders.state]
    return program + places + list(words)


def install(folders, top: str = "") -> str:
    """Have `boot` run at each start of the machine: what was written. Raises RuntimeFailure where nothing is there that
    would run it. `top` is put before the paths."""
    if user_namespace.of_user():
        import shlex

        raise RuntimeFailure(
            "only root has containers started with the machine",
            "a line of crontab(1): @reboot " + " ".join(shlex.quote(word) for word in command(folders, "boot")),
        )
    if os.path.isdir(top + "/run/systemd/system"):
        _write(
            top + UNIT,
            _UNIT % {"start": _quoted(command(folders, "boot")), "stop": _quoted(command(folders, "boot", "stop"))},
        )
        if not top:
            _call("systemctl", "daemon-reload")
            _call("systemctl", "enable", "--quiet", os.path.basename(UNIT))
            # active from now on, not from the next boot on: or systemd would not run ExecStop when this one ends
            if not _succeeds("systemctl", "is-active", "--quiet", os.path.basename(UNIT)):
                _write(_mark(folders), records.boot())
                _call("systemctl", "start", "--no-block", os.path.basename(UNIT))
        return top + UNIT
    if os.path.isdir(top + "/etc/cron.d") and any(
        os.path.exists(top + path) for path in ("/usr/sbin/cron", "/usr/sbin/crond", "/sbin/crond", "/usr/bin/crond")
    ):
        import shlex

        line = " ".join(shlex.quote(word) for word in command(folders, "boot")).replace("%", "\\%")
        _write(top + CRON, "# containers that should run\n@reboot root %s\n" % line)
        return top + CRON
    raise RuntimeFailure(
        "there is neither systemd nor cron here to start containers with the machine",
        "have `%s` run at its start" % " ".join(command(folders, "boot")),
    )


def remove(top: str = "") -> list:
    """Undo it: what was taken away."""
    gone = []
    if os.path.exists(top + UNIT) and not top:
        _call("systemctl", "disable", "--quiet", os.path.basename(UNIT))
    for path in (UNIT, CRON):
        try:
            os.unlink(top + path)
            gone.append(top + path)
        except FileNotFoundError:
            continue
    return gone


def _quoted(words):
    """systemd.service(5), "Command lines": quotes, and % and $ are doubled."""
    found = []
    for word in words:
        word = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
        found.append('"%s"' % word)
    return " ".join(found)


def _write(path, text):
    beside = path + ".part"
    descriptor = os.open(beside, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    with open(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.rename(beside, path)


def _mark(folders):
    return os.path.join(folders.state, "boot-installed")


def _is_first(folders):
    """Whether this is no start of the machine, but the unit's first one: what somebody has stopped stays stopped."""
    try:
        with open(_mark(folders)) as file:
            found = file.read()
        os.unlink(_mark(folders))
    except FileNotFoundError:
        return False
    return found == records.boot()


def _call(*words):
    if not _succeeds(*words):
        raise RuntimeFailure("%s failed" % " ".join(words))


def _succeeds(*words):
    pid = os.fork()
    if pid == 0:
        try:
            os.execvp(words[0], words)
        finally:
            os._exit(127)
    return os.waitpid(pid, 0)[1] == 0
