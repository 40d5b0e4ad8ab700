"""The first code on the target: say hello, serve imports from the wire, hand over to the helper.

The controller's one-line first stage (shepherd/boot.py) reads this file, of known length, from standard input and
executes it. The hello says which bytecode this Python reads; where the controller's Python reads the same, everything
that follows is compiled already, which takes a twentieth of the time. Nothing is written to the disk.

Python starts with `-I -S`: no variable, no directory of the user and no .pth file can change what is imported, and the
3 to 7 ms that `site` costs are paid only where a module asks for a package that is not in the standard library.
"""

import os
import sys
from _frozen_importlib import ModuleSpec


class Importer:
    """Imports `shepherd.*` from what came over the wire: code objects, or text that is compiled once."""

    def __init__(self):
        self.sources = {}  # dotted name: (file, code or text); the file is what a traceback calls it
        self.packages = set()

    def add(self, name, file, code, package=False):
        """Take a source in; a newer one of the same name replaces the older, also where it was imported already."""
        self.sources[name] = (file, code)
        sys.modules.pop(name, None)
        if package:
            self.packages.add(name)
        while "." in name:
            name = name.rpartition(".")[0]
            self.packages.add(name)

    def code(self, name):
        file, code = self.sources[name]
        if isinstance(code, str):
            code = compile(code, file, "exec", dont_inherit=True)
            self.sources[name] = (file, code)
        return code

    # What the import system asks for

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


def start(boot):
    """Run the helper on standard input and output until the controller goes away. `boot` is this file as it came."""
    _utf8(boot)
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
    importer = Importer()
    sys.meta_path.insert(0, importer)
    sys.meta_path.append(SitePackages())
    import marshal
    import zlib

    for core in marshal.loads(zlib.decompress(_read(source, int(_read(source, 8))))):
        importer.add(*core)
    from shepherd.remote import helper

    helper.Helper(importer, source, sink, boot).serve()
    os._exit(0)  # 3 ms less than taking the interpreter apart


def _read(fd, size):
    data = b""
    while len(data) < size:
        piece = os.read(fd, size - len(data))
        if not piece:
            os._exit(0)  # the controller has gone
        data += piece
    return data


def _utf8(boot):
    """Python 3.6 in the C locale takes file names for ASCII; later ones obey -X utf8. Start again in a UTF-8 locale."""
    if sys.getfilesystemencoding() != "ascii" or os.environ.get("LC_CTYPE") == "C.UTF-8":
        return
    reader, writer = os.pipe()
    os.write(writer, boot)  # a few KiB, far less than a pipe holds
    os.close(writer)
    os.set_inheritable(reader, True)
    again = "import os,zlib;b=os.read(%d,1<<20);os.close(%d);exec(zlib.decompress(b))" % (reader, reader)
    environment = dict(os.environ, LC_CTYPE="C.UTF-8")
    environment.pop("LC_ALL", None)
    os.execve(sys.executable, [sys.executable, "-I", "-S", "-B", "-c", again] + sys.argv[1:], environment)


def _hello(token):
    """The mark that tells our bytes from what the login shell printed, and the HELLO frame.

    Written by hand, before anything large is imported.
    """
    import pwd
    import struct
    from _frozen_importlib_external import MAGIC_NUMBER
    from _json import encode_basestring_ascii as quote

    uid = os.geteuid()
    try:
        user = pwd.getpwuid(uid)[0]
    except KeyError:
        user = str(uid)
    # sshd(8): the client's address and port, and ours, at which it reached us
    address = (os.environ.get("SSH_CONNECTION", "").split() + [""] * 3)[2]
    head = '{"python":[%d,%d,%d],"bytecode":"%s","executable":%s,"user":%s,"uid":%d,"pid":%d,"address":%s}' % (
        sys.version_info[:3]
        + (MAGIC_NUMBER.hex(), quote(sys.executable or ""), quote(user), uid, os.getpid(), quote(address))
    )
    return b"shepherd:" + token.encode() + b"\n" + struct.pack(">BIII", 16, 0, len(head), 0) + head.encode()
