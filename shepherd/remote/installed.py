"""The container runtime that is installed on this machine, as modules use it.

What only looks is imported from the installed folder into this process: a look at a container then costs a tenth of a
millisecond, where starting the command costs twenty. What makes or ends something is a command of its own: a monitor is
a copy of the process that starts it, and must be none of this one. The command's words go through a pipe, since they
hold what other users must not read in a list of processes.
"""

import os
import sys
from _frozen_importlib_external import SourceFileLoader

FOLDER = "/usr/local/lib/shepherd"
LINK = "/usr/local/bin/shepherd-runtime"
LARGEST = 1 << 20  # bytes, what a pipe can hold
FILES = 100  # the first descriptor of the files that are given to a command

# No import statement of the runtime stands here, or all of it would be sent with this file as what this file needs.
# Commands with their files come over standard input, behind their length; where no other input is given, what follows
# is that. Files are the reading ends of pipes: /dev/fd/100 and so on. The first command that fails is the last one.
# What goes on when its reader is killed keeps what it says till the end: with its output refused it would end there.
_PROGRAM = (
    """\
import fcntl, marshal, os, sys
def take(size):
    data = bytearray()
    while len(data) < size:
        data += os.read(0, size - len(data)) or sys.exit("what it should do was not said")
    return data
def give(number, content):
    reading, writing = os.pipe()
    if len(content) > 65536:
        fcntl.fcntl(writing, 1031, 1 << 20)  # F_SETPIPE_SZ
    os.write(writing, content)
    os.close(writing)
    os.dup2(reading, number)
    os.close(reading)
commands, otherwise, stdin, apart, killed = marshal.loads(take(int.from_bytes(take(8), "big")))
if stdin is not None:
    give(0, stdin)
kept = []
if apart:
    os.setsid()
    for number in (1, 2):
        reading, writing = os.pipe()
        kept.append((os.dup(number), reading))
        os.dup2(writing, number)
        os.close(writing)
sys.path.insert(0, sys.argv[1])
main = __import__("shepherd.runtime.cli", None, None, ["main"]).main
def run(words):
    code = main(words)
    sys.stdout.flush()
    sys.stderr.flush()
    return code
def keep():
    parent, child = os.getpid(), os.fork()
    if child:
        return child
    os.setsid()
    for number in range(3):
        os.dup2(os.open("/dev/null", os.O_RDWR), number)
    import signal
    syscalls = __import__("shepherd.runtime.linux.syscalls", None, None, ["prctl"])
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    syscalls.prctl(1, signal.SIGUSR1)  # PR_SET_PDEATHSIG
    if os.getppid() == parent:
        signal.sigwait([signal.SIGUSR1])
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1])
    try:
        os.killpg(parent, 9)  # what it had begun
    except OSError:
        pass
    for words in killed:
        run(words)
    os._exit(0)
keeper = keep() if killed else None
for words, files in commands:
    for number, content in enumerate(files, %d):
        give(number, content)
    code = run(words)
    if code:
        os.dup2(os.open("/dev/null", os.O_WRONLY), 2)  # what is said is why it failed
        for words in otherwise:
            run(words)
        break
if keeper:
    os.kill(keeper, 9)
for place, reading in kept:
    os.set_blocking(reading, False)
    try:
        os.write(place, os.read(reading, 65536))
    except OSError:
        pass  # nothing was said, or nobody is there
os._exit(code)
"""
    % FILES
)


# What the items of a loop would each find out again.
_homes = {}  # the text of LINK: the folder that it means
_named = {"index": None, "digests": {}}  # of images: by which state of the index, and what their names mean by it
_looking = {}  # the `home` of the runtime that is imported from, and the `finder` of its modules, if it has one
_folders = {}  # what the environment says of where containers are kept: a Folders


class Runtime:
    """The runtime in the folder `home`."""

    def __init__(self, task, home):
        self.task = task
        self.home = home

    @property
    def version(self):
        """The beginning of the digest of its content."""
        return os.path.basename(self.home).split("-")[1]

    @property
    def folders(self):
        """Where it keeps containers: a Folders."""
        said = os.environ.get("SHEPHERD_RUNTIME_ROOT"), os.environ.get("SHEPHERD_RUNTIME_STATE"), self.home
        if said not in _folders:
            _folders[said] = self.part("containers.folders").Folders()
        return _folders[said]

    def part(self, name):
        """A module of it, such as `containers.record`, for looking at things."""
        if _looking.get("home") != self.home:
            self._look_here()
        whole = "shepherd.runtime." + name
        if whole not in sys.modules:
            __import__(whole)
        return sys.modules[whole]

    def _look_here(self):
        """Import from here, and from no other version, which an earlier run in this process may have looked with."""
        folders = sys.modules["shepherd"].__path__
        folders[:] = [one for one in folders if not one.startswith(FOLDER + os.sep)]
        sys.meta_path[:] = [one for one in sys.meta_path if one is not _looking.get("finder")]
        for name in list(sys.modules):
            if (name + ".").startswith("shepherd.runtime."):
                del sys.modules[name]
        folders.append(os.path.join(self.home, "shepherd"))
        sys.dont_write_bytecode = True
        _looking["home"], _looking["finder"] = self.home, self._finder()
        if _looking["finder"] is not None:
            sys.meta_path.insert(0, _looking["finder"])

    def _finder(self):
        """What finds its modules in one file, in half the time; None: they are looked for in their folders."""
        found = {"__name__": "together"}
        try:
            exec(SourceFileLoader("together", os.path.join(self.home, "together.py")).get_code("together"), found)
            return found["Together"](self.home)
        except (ImportError, OSError):
            return None

    def meaning(self, name):
        """The digest that a name of an image means here; None where there is no such name. Raises RuntimeFailure."""
        try:
            about = os.stat(self.folders.root + "/index.json")
        except OSError:
            self.part("images.reference").parse(name)
            return None  # and no store is made by looking
        index = (about.st_dev, about.st_ino, about.st_mtime_ns, about.st_size)  # another file whenever it changes
        if _named["index"] != index:
            _named.update(index=index, digests={})
        digests = _named["digests"]
        if name not in digests:
            reference = self.part("images.reference").parse(name)
            found = self.part("images.names").Names(self.part("images.store").Store()).get(reference)
            digests[name] = None if found is None else str(found.digest)
        return digests[name]

    def network(self, name):
        """The record of a network; None where there is none. Raises RuntimeFailure."""
        records = self.part("network.records")
        records.check_name(name)
        if not os.path.isdir(os.path.join(records.DEFAULT_ROOT, "networks", name)):
            return None
        return records.Records().network(name)

    def attempt(self, words, files=(), stdin=None):
        """Run the command to its end: a process.Finished. `files`: contents, seen by it as /dev/fd/100, …

        `stdin` is text for it to read. Neither that nor a file is longer than LARGEST.
        """
        return self.attempt_all([(words, files)], stdin=stdin)

    def attempt_all(self, commands, otherwise=(), stdin=None, apart=False, killed=()):
        """Run commands, each a pair of words and files, one after the other in one process, until one fails.

        `otherwise` are the words of commands that are run then. `apart`: they go on when this process is killed; and
        where theirs is, the commands `killed` are run by another one, which waits for that.
        """
        from shepherd.remote import process

        stdin = (stdin or "").encode("utf-8", "surrogateescape")
        for words, files in commands:
            if max(len(one) for one in [stdin] + list(files)) > LARGEST:
                self.task.fail("what is given to %s is longer than %d bytes" % (words[0], LARGEST))
        return process.run(self._command, stdin=_given(commands, otherwise, stdin, apart, killed))

    def spawn(self, words):
        """Start the command: a subprocess.Popen, of which `stdin`, `stdout` and `stderr` are pipes without buffers."""
        from subprocess import PIPE, Popen

        child = Popen(self._command, stdin=PIPE, stdout=PIPE, stderr=PIPE, bufsize=0)
        try:
            child.stdin.write(_given([(words, ())], (), None, False, ()))
        except BrokenPipeError:
            pass  # it has ended, and says why
        return child

    @property
    def _command(self):
        return [sys.executable, "-I", "-S", "-c", _PROGRAM, self.home]

    def run(self, words, files=(), failing=""):
        """The same, what it says on standard output; where it fails, the task does."""
        done = self.attempt(words, files)
        if done.status:
            self.task.fail("%s%s" % (failing, told(done)), rc=done.status)
        return done.stdout


def _given(commands, otherwise, stdin, apart, killed):
    import marshal

    commands = [([str(word) for word in words], list(files)) for words, files in commands]
    later = ([list(words) for words in one] for one in (otherwise, killed))
    data = marshal.dumps((commands, next(later), stdin, apart, next(later)), 2)
    return len(data).to_bytes(8, "big") + data


def told(done):
    """What a command that failed says, as one line."""
    lines = [line.strip() for line in (done.stderr or done.stdout).strip().splitlines()]
    prefix = "shepherd-runtime: "
    lines = [line[len(prefix) :] if line.startswith(prefix) else line for line in lines]
    lines = list(dict.fromkeys(lines))[-6:]  # of several, some may say the same
    return "; ".join(lines) or "the command ended with status %d and said nothing" % done.status


def find(task):
    """The Runtime that the controller has, too; None where it is to be installed first.

    In check mode, which installs nothing, another version is as good for looking.
    """
    found = of_any_version(task)
    return found if found is None or found.version == task.args["_runtime"] or task.check else None


def of_any_version(task):
    """The Runtime that is there, for looking; None where there is none."""
    if os.geteuid() != 0:
        task.fail(
            "containers are root's: this user is number %d; use `become: true`, or -b on the command line"
            % os.geteuid()
        )
    home = current()
    return None if home is None else Runtime(task, home)


def current():
    """The folder that the command belongs to; None where there is none."""
    try:
        text = os.readlink(LINK)
    except OSError:
        return None
    if text not in _homes:
        home = os.path.dirname(os.path.normpath(os.path.join(os.path.dirname(LINK), text)))
        is_one = os.path.dirname(home) == FOLDER and os.path.basename(home).startswith("runtime-")
        _homes[text] = home if is_one else None
    home = _homes[text]
    return home if home is not None and os.path.isdir(home) else None


def needed():
    """The answer of a module that finds no runtime: the controller sends it, and asks again."""
    return {"changed": False, "need": "runtime"}
