"""The first code on the target: say hello, serve imports from the wire, hand over to the helper.

The controller's one-line first stage (shepherd/boot.py) reads a bundle of known length from standard input and executes
it: this file and a call of `start` with the sources that every link needs. Nothing is written to the disk.

Python starts with `-I -S`: no variable, no directory of the user and no .pth file can change what is imported, and the
3 to 7 ms that `site` costs are paid only where a module asks for a package that is not in the standard library.
"""

import os
import sys
from _frozen_importlib import ModuleSpec


class Importer:
    """Imports `shepherd.*` from sources that came over the wire, each compiled once."""

    def __init__(self, sources):
        self.sources = sources  # dotted name: (file, text); the file is what a traceback calls it
        self.packages = set()
        self._codes = {}
        for name in sources:
            self._packages_of(name)

    def _packages_of(self, name):
        while "." in name:
            name = name.rpartition(".")[0]
            self.packages.add(name)

    def add(self, name, file, text, package=False):
        """Take a source in; a newer one of the same name replaces the older, also where it was imported already."""
        self.sources[name] = (file, text)
        self._codes.pop(name, None)
        sys.modules.pop(name, None)
        self._packages_of(name)
        if package:
            self.packages.add(name)

    def code(self, name):
        found = self._codes.get(name)
        if found is None:
            file, text = self.sources[name]
            found = self._codes[name] = compile(text, file, "exec", dont_inherit=True)
        return found

    # What the import system and linecache (the lines in a traceback) ask for

    def find_spec(self, name, *_):
        package = name in self.packages
        if not package and name not in self.sources:
            return None
        spec = ModuleSpec(name, self, origin=self.sources.get(name, (None,))[0], is_package=package)
        spec.has_location = spec.origin is not None  # gives the module its __file__
        return spec

    def create_module(self, _):
        return None

    def exec_module(self, module):
        if module.__name__ in self.sources:
            exec(self.code(module.__name__), module.__dict__)

    def get_source(self, name):
        return self.sources[name][1] if name in self.sources else ""


class SitePackages:
    """The last finder asked: adds the directories of installed packages once a module from the wire misses one.

    The standard library itself tries imports that fail everywhere but on Windows or Jython; those change nothing.
    """

    def find_spec(self, name, path=None, target=None):
        frame = sys._getframe(1)
        while frame is not None and frame.f_code.co_filename.startswith("<frozen importlib"):
            frame = frame.f_back
        if frame is None or not frame.f_globals.get("__name__", "").startswith("shepherd."):
            return None
        sys.meta_path.remove(self)
        import site

        site.main()
        site.ENABLE_USER_SITE = os.geteuid() == os.getuid()
        site.addusersitepackages(set(sys.path))
        from importlib.machinery import PathFinder

        return PathFinder.find_spec(name, path, target)


def start(bundle, sources):
    """Run the helper on standard input and output until the controller goes away."""
    _utf8(bundle)
    try:
        os.listdir(".")  # after sudo the current directory may be one that this user cannot see
    except OSError:
        os.chdir("/")
    source, sink = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(2, 1)  # a stray print must not end up between frames
    os.close(null)
    os.write(sink, _hello(sys.argv[-1]))
    importer = Importer(sources)
    sys.meta_path.insert(0, importer)
    sys.meta_path.append(SitePackages())
    from shepherd.remote import helper

    helper.Helper(importer, source, sink, bundle).serve()


def _utf8(bundle):
    """Python 3.6 in the C locale takes file names for ASCII; later ones obey -X utf8. Start again in a UTF-8 locale."""
    if sys.getfilesystemencoding() != "ascii" or os.environ.get("LC_CTYPE") == "C.UTF-8":
        return
    reader, writer = os.pipe()
    os.write(writer, bundle)  # a few KiB, far less than a pipe holds
    os.close(writer)
    os.set_inheritable(reader, True)
    again = "import os,zlib;b=os.read(%d,1<<20);os.close(%d);exec(zlib.decompress(b))" % (reader, reader)
    environment = dict(os.environ, LC_CTYPE="C.UTF-8")
    environment.pop("LC_ALL", None)
    os.execve(sys.executable, [sys.executable, "-I", "-S", "-B", "-c", again] + sys.argv[1:], environment)


def _hello(token):
    """The mark that tells our bytes from what the login shell printed, and the HELLO frame.

    Written before json, wire and the helper are loaded, so that they load while the controller is being told.
    """
    import pwd
    import struct
    from _json import encode_basestring_ascii as quote

    uid = os.geteuid()
    try:
        user = pwd.getpwuid(uid)[0]
    except KeyError:
        user = str(uid)
    head = '{"python":[%d,%d,%d],"executable":%s,"user":%s,"uid":%d,"pid":%d}' % (
        sys.version_info[:3] + (quote(sys.executable or ""), quote(user), uid, os.getpid())
    )
    return b"shepherd:" + token.encode() + b"\n" + struct.pack(">BIII", 16, 0, len(head), 0) + head.encode()
