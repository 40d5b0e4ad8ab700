"""What `shepherd logs`, `exec`, `stats` and `top` ask of a host. No module of a playbook's: the command runs it itself.

`verb` says which; `names` are containers, what they were declared as, or patterns of either, and none means all. The
answer has `runtime` (False where there is none here) and `found`, the names that were meant. What streams is standard
output with a JSON list a line: [container, "stdout" or "stderr", time or "", text].
"""

import _signal as signal  # without the enums of `signal`, which are slow to import
import json
import os
import select
import sys
import time
from fnmatch import fnmatchcase
from heapq import merge

from shepherd.remote import installed, instances

SPEC = {}
EVERY = 1.0  # seconds between looks whether other containers have come, while their logs are followed
SOON = 0.02  # seconds until a command is looked at for what it runs, and twice as long each time after that
MERCY = 0.5  # seconds that a command has to end; the helper waits for us for one
BATCH = 500  # lines that are written at once
READ = 1 << 16
KEPT = ".previous"  # ends the name of a container that is never started


def run(task):
    runtime = installed.of_any_version(task)
    if runtime is None:
        return {"changed": False, "runtime": False, "found": []}
    try:
        found = chosen(runtime, task.args["names"])
        told = VERBS[task.args["verb"]](task, runtime, found)
    except runtime.part("errors").RuntimeFailure as error:
        return task.fail(error.message)
    return dict({"changed": False, "runtime": True, "found": [one.name for one in found]}, **told)


def chosen(runtime, names):
    """The Instances that are meant, by name. One that only keeps what was declared before must be called by its own."""
    records = runtime.part("containers.record").everything(runtime.folders)
    found = [instances.Instance(runtime, one) for one in records]
    return sorted((one for one in found if is_meant(one, names)), key=lambda one: one.name)


def is_meant(instance, names):
    if instance.app and instance.name == instance.app + KEPT:
        return instance.name in names
    called = [instance.name] + ([instance.app] if instance.app else [])
    return not names or any(fnmatchcase(one, name) for name in names for one in called)


def _say(lines):
    sys.stdout.write("".join(json.dumps(line) + "\n" for line in lines))
    sys.stdout.flush()


# logs


def _logs(task, runtime, found):
    logs = _Logs(task, runtime)
    logs.follow(found) if task.args["follow"] else logs.show(found)
    return {}


class _Logs:
    def __init__(self, task, runtime):
        clock = runtime.part("containers.clock")
        self.task = task
        self.runtime = runtime
        self.since = task.args["since"] and clock.stamp(clock.moment(task.args["since"], "--since"))
        self.names = {}  # id → what the container is called now
        self.readers = {}  # id → Reader

    def show(self, found):
        """What there is, of all of them, in the order of time."""
        self._open(found, self.task.args["tail"])
        self._write(merge(*[self._lines(one.record.id) for one in found], key=lambda line: line[2]))

    def _open(self, found, tail):
        for one in found:
            self.names[one.record.id] = one.name
            if one.record.id not in self.readers:
                reader = self.runtime.part("containers.logs").Reader(one.record.log_path, tail)
                self.readers[one.record.id] = reader

    def _lines(self, identity):
        for entry in self.readers[identity].entries():
            if not self.since or entry.time >= self.since:
                yield [self.names[identity], entry.stream, entry.time, entry.text]

    def _write(self, lines):
        waiting = []
        for line in lines:
            waiting.append(line)
            if len(waiting) >= BATCH:
                _say(waiting)
                waiting = []
        if waiting:
            _say(waiting)

    def follow(self, found):
        """What there is, and what comes, until this process is ended; of containers that come later, too."""
        self.show(found)
        poll, heard = select.poll(), {}  # descriptor → (id, Connection)
        while True:
            following = {identity for identity, _connection in heard.values()}
            for one in found:
                connection = None if one.record.id in following else self._connect(one.record)
                if connection is not None:
                    heard[connection.fileno()] = (one.record.id, connection)
                    poll.register(connection.fileno(), select.POLLIN)
            for identity in list(self.readers):  # what was written before their monitors heard of us
                self._write(self._lines(identity))
            until = time.monotonic() + EVERY
            while time.monotonic() < until:
                self._listen(poll, heard, max(0.0, until - time.monotonic()))
            found = chosen(self.runtime, self.task.args["names"])
            self._open(found, None)
            self._leave({one.record.id for one in found})

    def _listen(self, poll, heard, seconds):
        for fd, _event in poll.poll(seconds * 1000):
            identity, connection = heard[fd]
            ended = not connection.hear()
            if identity in self.readers:
                self._write(self._lines(identity))
            if ended:
                poll.unregister(fd)
                connection.close()
                del heard[fd]

    def _leave(self, kept):
        """Those that are gone."""
        for identity in set(self.readers) - kept:
            self._write(self._lines(identity))
            self.readers.pop(identity).close()

    def _connect(self, record):
        """To the monitor, which tells when there is more; None where there is none."""
        connection = self.runtime.part("containers.launch").connect(record)
        if connection is not None:
            connection.say(b"f")
        return connection


# exec


def _exec(task, runtime, found):
    """The command in each of them that runs, at the same time; what they say comes as they say it. Each reads all of
    the upload."""
    running = [one for one in found if one.state["Status"] == "running"]
    content = task.upload.read() if task.upload else b""
    words = ["exec"] + (["-i"] if task.upload else [])
    for option in ("user", "workdir"):
        words += ["--" + option, task.args[option]] if task.args[option] is not None else []
    for pair in task.args["env"]:
        words += ["--env", pair]
    children = {one.name: runtime.spawn(words + ["--", one.name] + task.args["command"]) for one in running}
    sessions = {}  # pid of a command → the session of what it runs
    try:
        _relay(children, sessions, content)
        statuses = {name: child.wait() for name, child in children.items()}
    except BaseException:  # we are to end, and so is what runs inside, with all that it has started
        _end(set(sessions.values()))
        raise
    return {"statuses": statuses, "stopped": [one.name for one in found if one not in running]}


def _relay(children, sessions, content):
    """Pass on what they say until they say no more; meanwhile give them what they read, and find out what they run."""
    poll, reading, feeding = select.poll(), {}, {}
    for name, child in children.items():
        os.set_blocking(child.stdin.fileno(), False)
        feeding[child.stdin.fileno()] = (child.stdin, memoryview(content))
        poll.register(child.stdin.fileno(), select.POLLOUT)
        for stream, file in (("stdout", child.stdout), ("stderr", child.stderr)):
            reading[file.fileno()] = (name, stream, file)
            poll.register(file.fileno(), select.POLLIN)
    patience = SOON
    while reading:
        unknown = [child.pid for child in children.values() if child.pid not in sessions and child.poll() is None]
        for fd, _event in poll.poll(patience * 1000 if unknown else None):
            if fd in feeding:
                _feed(poll, feeding, fd)
                continue
            name, stream, file = reading[fd]
            data = os.read(fd, READ)
            if data:
                _say([[name, stream, "", data.decode("utf-8", "surrogateescape")]])
            else:
                poll.unregister(fd)
                del reading[fd]
                file.close()
        if unknown:
            patience = min(2 * patience, EVERY)
            pids = set(unknown)
            sessions.update((parent, pid) for pid, parent, session in _processes() if pid == session and parent in pids)


def _feed(poll, feeding, fd):
    """A piece; the end of it when all is given, or nobody reads any more."""
    file, left = feeding[fd]
    try:
        left = left[os.write(fd, left[:READ]) :]
    except BlockingIOError:
        pass
    except BrokenPipeError:
        left = left[:0]
    feeding[fd] = (file, left)
    if not left:
        poll.unregister(fd)
        del feeding[fd]
        file.close()


def _processes():
    """(pid, its parent's, its session) of every process: proc(5), stat."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/%s/stat" % name) as file:
                    fields = file.read().rpartition(")")[2].split()
            except OSError:
                continue  # it has ended
            yield int(name), int(fields[1]), int(fields[3])


def _end(sessions):
    """First they are asked to, and then not."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid, _parent, session in _processes():
            if session in sessions:
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    pass
        deadline = time.monotonic() + MERCY
        while time.monotonic() < deadline and any(session in sessions for _pid, _parent, session in _processes()):
            time.sleep(0.02)


# stats and top: what the runtime's own commands say, as data


def _stats(_task, runtime, found):
    names = [one.name for one in found if one.state["Status"] in ("running", "paused")]
    if not names:
        return {"rows": []}
    said = runtime.run(["stats", "--no-stream", "--format", "json"] + names)
    return {"rows": [json.loads(line) for line in said.splitlines() if line.strip()]}


def _top(_task, runtime, found):
    rows = []
    for one in found:
        if one.state["Status"] != "running":
            continue
        done = runtime.attempt(["top", one.name])
        heading, _, lines = done.stdout.partition("\n")
        names = heading.split()
        for line in lines.splitlines() if not done.status else ():  # it may have ended meanwhile
            rows.append(dict(zip(names, line.split(None, len(names) - 1)), container=one.name))
    return {"rows": rows}


VERBS = {"logs": _logs, "exec": _exec, "stats": _stats, "top": _top}
