"""RUN --mount: what a step has beside its root (Dockerfile reference, "RUN --mount").

Every source is opened by descriptor within what it is of, and bound to a place of the build's own; the container gets
that place. So no name in an image, a context or a cache decides what is mounted.
"""

import fcntl
import functools
import hashlib
import os
import re
import stat

from shepherd.runtime.build.copying import Copier
from shepherd.runtime.build.ignore import clean
from shepherd.runtime.build.problems import Wrong
from shepherd.runtime.errors import nearest
from shepherd.runtime.images import files, trees
from shepherd.runtime.linux import paths, syscalls

_TARGET = ("target", "dst", "destination")
_KEYS = {
    "bind": {"from", "source", "src", "rw", "readwrite", "ro", "readonly"},
    "cache": {"id", "from", "source", "src", "rw", "readwrite", "ro", "readonly", "sharing", "mode", "uid", "gid"},
    "tmpfs": {"size"},
    "secret": {"id", "source", "src", "required", "mode", "uid", "gid", "env"},
}
_FLAGS = {"": True, "true": True, "1": True, "false": False, "0": False}
_SAME = {"dst": "target", "destination": "target", "src": "source", "readwrite": "rw", "readonly": "ro"}
_SHARING = ("shared", "private", "locked")
_SIZE = re.compile(r"([0-9]{1,15})([kmgt]?)b?\Z", re.I)
_LARGEST_SECRET = 512 << 10


class Mount:
    """`kind`, and the keys given, under their first names."""

    def __init__(self, kind, keys, text):
        self.kind = kind
        self.keys = keys
        self.text = text

    def get(self, name, default=None):
        return self.keys.get(name, default)

    @property
    def read_only(self):
        if self.kind == "bind":
            return not self.keys.get("rw", False)
        return self.keys.get("ro", False)


def parse(text) -> Mount:
    """From the text after `--mount=`, whose variables were replaced. Raises Wrong."""
    kind, keys = "bind", {}
    parts = [part.strip() for part in text.split(",")]
    for part in parts:
        if part.partition("=")[0].lower() == "type":
            kind = part.partition("=")[2].lower()
    if kind == "ssh":
        raise Wrong("--mount=type=ssh is not possible: no agent is passed on", "type=ssh", "use a secret instead")
    if kind not in _KEYS:
        raise Wrong("there is no mount of type %s" % kind[:40], "type=" + kind, nearest(kind, _KEYS))
    for part in parts:
        key, equals, value = part.partition("=")
        key = key.lower()
        if key == "type":
            continue
        if key not in _KEYS[kind] and (key not in _TARGET):
            raise Wrong("a mount of type %s has no %s" % (kind, key[:40]), part, nearest(key, _KEYS[kind]))
        key = _SAME.get(key, key)
        if key in keys:
            raise Wrong("%s is there twice" % key, part)
        keys[key] = _CHECKS.get(key, _some)(key, value, part, equals)
    if kind in ("bind", "cache", "tmpfs") and not keys.get("target"):
        raise Wrong("a mount of type %s needs a target" % kind, text)
    if kind == "secret" and not (keys.get("id") or keys.get("source") or keys.get("target") or keys.get("env")):
        raise Wrong("a secret needs an id", text)
    return Mount(kind, keys, text)


def _some(key, value, part, _equals):
    if not value or "\0" in value:
        raise Wrong("%s needs a value" % key, part)
    return value


def _flag(key, value, part, equals):
    if value.lower() not in _FLAGS or (equals and not value):
        raise Wrong("%s is true or false" % key, part)
    return _FLAGS[value.lower()]


def _id(key, value, part, _equals):
    if not value.isdigit() or int(value) > (1 << 32) - 2:
        raise Wrong("%s is a number" % key, part)
    return int(value)


def _mode(key, value, part, _equals):
    if re.match("[0-7]{1,4}\\Z", value) is None:
        raise Wrong("%s is an octal number such as 0755" % key, part)
    return int(value, 8)


def _size(key, value, part, _equals):
    match = _SIZE.match(value)
    if match is None:
        raise Wrong("%s is a number of bytes, or such as 64m" % key, part)
    return int(match.group(1)) << 10 * ("kmgt".index(match.group(2).lower()) + 1 if match.group(2) else 0)


def _sharing(_key, value, part, _equals):
    if value not in _SHARING:
        raise Wrong("sharing is one of %s" % ", ".join(_SHARING), part, nearest(value, _SHARING))
    return value


_CHECKS = {
    "rw": _flag,
    "ro": _flag,
    "required": _flag,
    "uid": _id,
    "gid": _id,
    "mode": _mode,
    "size": _size,
    "sharing": _sharing,
}


class Mounts:
    """Those of one step, as a context. `tree_of(name)` is the sources.Tree of a stage or image (None: the context),
    `chain_of(name)` its Chain; `secrets` gives an id's content, or None."""

    def __init__(self, workspace, mounts, folder, tree_of, chain_of, secrets):
        self._workspace = workspace
        self._mounts = mounts
        self._folder = folder
        self._tree_of = tree_of
        self._chain_of = chain_of
        self._secrets = secrets
        self._pieces = {}
        self._caches = {}  # name → folder
        self._undo = []
        self.made = []  # the table of config.json, with `folder` beside
        self.environment = {}

    def key(self) -> list:
        """What the step's result may depend on: the content of what is bound, not that of caches and secrets."""
        return [self._describe(number, mount) for number, mount in enumerate(self._mounts)]

    def _describe(self, number, mount):
        keys = {name: mount.keys[name] for name in sorted(mount.keys)}
        if mount.kind != "bind":
            return [mount.kind, keys]
        if mount.get("from"):
            return [mount.kind, keys, self._chain_of(mount.get("from")).key]
        pieces = self._tree_of(None).select(mount.get("source", "/"))
        if len(pieces) > 1:
            raise Wrong("%s is more than one file" % mount.get("source"), mount.get("source"))
        self._pieces[number] = pieces[0]
        return [mount.kind, keys, pieces[0].scan()]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        while self._undo:
            self._undo.pop()()

    def targets(self) -> list:
        """(path in the container, whether it is a folder) of each."""
        return [(one["destination"], one["folder"]) for one in self.made]

    def make(self) -> None:
        """Make all of them."""
        self._take_caches()
        for number, mount in enumerate(self._mounts):
            found = _MAKERS[mount.kind](self, number, mount)
            if found is not None:
                self.made.append(found)

    def table(self) -> list:
        return [{key: one[key] for key in one if key != "folder"} for one in self.made]

    def _target(self, mount, default=None):
        target = os.path.normpath(os.path.join("/", self._folder, mount.get("target", default)))
        if target == "/" or (target + "/").startswith(("/proc/", "/sys/")):
            raise Wrong("%s is no place to mount at" % target, mount.text)
        return "/" + target.strip("/")

    def _entry(self, mount, place, folder, *options):
        access = "ro" if mount.read_only else "rw"
        return {
            "destination": self._target(mount),
            "type": "bind",
            "source": place,
            "options": ["rbind", access, "nodev", "nosuid"] + list(options),
            "folder": folder,
        }

    def _bind(self, number, mount):
        source = mount.get("source", "/")
        if not mount.get("from"):
            return self._bind_context(self._pieces[number], mount)
        chain = self._chain_of(mount.get("from"))
        if mount.read_only:
            root = self._workspace.view(chain)
        else:
            change = self._workspace.change(chain)  # what is written to it is thrown away
            self._undo.append(lambda: change.__exit__())
            root = change.root
        return self._entry(mount, *self._place(root, source, mount))

    def _bind_context(self, piece, mount):
        """A copy: of what .dockerignore leaves, and nobody changes it meanwhile, or the machine's own by it."""
        folder = self._workspace.folder("context")
        root = trees.open_folder(folder)
        try:
            os.fchmod(root, 0o755)
            Copier(root, (0, 0)).place(piece, "/source", False)
            self._undo.append(lambda: trees.remove(folder))
            return self._entry(mount, *self._place(root, "/source", mount))
        finally:
            os.close(root)

    def _place(self, root, source, mount):
        """(a path of ours, whether it is a folder) where what is at `source` below the root is bound."""
        try:
            found = paths.open_inside(root, "/" + clean(source))
        except OSError as error:
            raise Wrong("%s: %s" % (source, error.strerror), mount.text)
        try:
            folder = stat.S_ISDIR(os.fstat(found).st_mode)
            place = self._workspace.folder("mount")
            if not folder:
                place = os.path.join(place, "file")
                os.close(os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
            syscalls.mount(paths.shown(found), place, None, syscalls.MS_BIND)
        finally:
            os.close(found)
        self._undo.append(lambda: syscalls.umount(place, syscalls.MNT_DETACH))
        return place, folder

    def _tmpfs(self, _number, mount):
        options = ["nosuid", "nodev", "mode=1777"]
        if mount.get("size"):
            options.append("size=%d" % mount.get("size"))
        target = self._target(mount)
        return {"destination": target, "type": "tmpfs", "source": "tmpfs", "options": options, "folder": True}

    def _cache(self, _number, mount):
        """A folder that outlives the build, for all builds that name it."""
        root = trees.open_folder(self._caches[self._cache_name(mount)])
        try:
            if os.fstat(root).st_mode & 0o7777 == 0o700 and not os.listdir(root):
                self._fill_cache(root, mount)
            source = "/" if mount.get("from") else mount.get("source", "/")
            return self._entry(mount, *self._place(root, source, mount))
        finally:
            os.close(root)

    def _cache_name(self, mount):
        text = mount.get("id") or self._target(mount)
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()

    def _take_caches(self):
        """Each once, and all in the same order in every build: so that no two wait for one another."""
        wanted = {}
        for mount in self._mounts:
            if mount.kind == "cache":
                name, sharing = self._cache_name(mount), _SHARING.index(mount.get("sharing", "shared"))
                wanted[name] = max(sharing, wanted.get(name, 0))
        for name in sorted(wanted):
            above = self._workspace.store.path("build", "mounts", name)
            files.make_folder(above)
            self._caches[name] = self._take_cache(above, _SHARING[wanted[name]])

    def _take_cache(self, above, sharing):
        number = 0
        while True:
            lock = os.open(os.path.join(above, "lock-%d" % number), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                if sharing == "private":
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                else:
                    kind = fcntl.LOCK_SH if sharing == "shared" else fcntl.LOCK_EX
                    files.take(lock, kind, 24 * 3600.0, above)
            except BlockingIOError:
                os.close(lock)
                number += 1
                continue
            except BaseException:
                os.close(lock)
                raise
            self._undo.append(functools.partial(os.close, lock))
            folder = os.path.join(above, "data-%d" % number)
            files.make_folder(folder)
            return folder

    def _fill_cache(self, root, mount):
        os.fchown(root, mount.get("uid", 0), mount.get("gid", 0))
        os.fchmod(root, mount.get("mode", 0o755))
        if not mount.get("from"):
            return
        piece = self._tree_of(mount.get("from")).select(mount.get("source", "/"))[0]
        piece.scan()
        Copier(root).place(piece, "/", True)

    def _secret(self, _number, mount):
        """In memory alone, readable by its user; or a variable, which only this step sees."""
        name = mount.get("id") or os.path.basename(mount.get("source") or mount.get("target") or mount.get("env"))
        content = self._secrets(name)
        if content is None:
            if mount.get("required", False):
                hint = "give it with --secret id=%s,src=FILE" % name
                raise Wrong("the secret %s is required, and was not given" % name, mount.text, hint)
            return None
        if len(content) > _LARGEST_SECRET:
            raise Wrong("the secret %s is larger than %d bytes" % (name, _LARGEST_SECRET), mount.text)
        if mount.get("env"):
            text = os.fsdecode(content)
            if "\0" in text:
                raise Wrong("the secret %s cannot be a variable: there is a NUL in it" % name, mount.text)
            self.environment[mount.get("env")] = text
            if not mount.get("target"):
                return None
        folder = self._workspace.folder("secret")
        syscalls.mount("tmpfs", folder, "tmpfs", syscalls.MS_NODEV | syscalls.MS_NOSUID, "mode=700,size=1m")
        self._undo.append(lambda: syscalls.umount(folder, syscalls.MNT_DETACH))
        place = os.path.join(folder, "secret")
        file = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(file, "wb") as opened:
            opened.write(content)
            opened.flush()
            os.fchown(file, mount.get("uid", 0), mount.get("gid", 0))
            os.fchmod(file, mount.get("mode", 0o400))
        return {
            "destination": self._target(mount, "/run/secrets/" + os.path.basename(name)),
            "type": "bind",
            "source": place,
            "options": ["bind", "ro", "nodev", "nosuid", "noexec"],
            "folder": False,
        }


_MAKERS = {"bind": Mounts._bind, "cache": Mounts._cache, "tmpfs": Mounts._tmpfs, "secret": Mounts._secret}


def forget_caches(store) -> int:
    """Empty the caches that no build is at; how many there were."""
    above, count = store.path("build", "mounts"), 0
    if not os.path.isdir(above):
        return 0
    for name in os.listdir(above):
        for place in os.listdir(os.path.join(above, name)):
            if not place.startswith("lock-"):
                continue
            lock = os.open(os.path.join(above, name, place), os.O_RDWR | os.O_CLOEXEC)
            try:
                if files.try_lock(lock):
                    trees.remove(os.path.join(above, name, "data-" + place[5:]))
                    count += 1
            except FileNotFoundError:
                pass  # emptied before
            finally:
                os.close(lock)
    return count
