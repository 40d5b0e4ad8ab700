"""The modules of an installed runtime out of one file: to look for each by its name takes longer than to read it.

`bytecode` lies beside the installed files: which Python it is for, how long its head is, the head, and codes as in .pyc
files. The head says of each module whether it is a package, where its code begins and how long that is; and the same of
what whoever makes containers imports, which is there a second time: to read it at once takes two thirds of the time.

This module is installed with no package around it, since whatever comes before it has to be looked for. Another Python
than the one that wrote the file (on a machine that was upgraded) looks for the modules as ever: their sources lie there
too.
"""

import posix
import sys
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import MAGIC_NUMBER
from marshal import dumps, loads

FILE = "bytecode"
_MAKER = "shepherd.runtime.bundle.create"  # what is read with all that it imports


class Together:
    """A finder and loader of modules (importlib.abc).

    The file is opened each time: who closes all descriptors closes this process's, too. What is found at its path is
    only good on the machine: bundle/stage.py forgets this finder before it enters a container.
    """

    def __init__(self, folder: str):
        self._folder = folder
        start = self._read(8, 0)
        if start[:4] != MAGIC_NUMBER:
            raise ImportError("it was written by another Python")
        self._begin = int.from_bytes(start[4:], "little")
        self._places, self._company = loads(self._read(self._begin - 8, 8))
        self._codes = {}  # read, and not imported yet

    def _read(self, length, place):
        descriptor = posix.open(self._folder + "/" + FILE, posix.O_RDONLY | posix.O_CLOEXEC)
        try:
            return posix.pread(descriptor, length, place)
        finally:
            posix.close(descriptor)

    def _load(self, place, length):
        return loads(self._read(length, self._begin + place))

    def find_spec(self, name, path=None, target=None):  # noqa: ARG002 - importlib's
        """The module as importlib wants it; None where it is none of ours."""
        found = self._places.get(name)
        if found is None:
            return None
        if name == _MAKER:
            self._codes = {one: code for one, code in self._load(*self._company).items() if one not in sys.modules}
        base = self._folder + "/" + name.replace(".", "/")
        spec = ModuleSpec(name, self, origin=base + ("/__init__.py" if found[0] else ".py"), is_package=found[0])
        if found[0]:
            spec.submodule_search_locations.append(base)
        return spec

    def create_module(self, spec):
        """As ever."""

    def exec_module(self, module):
        """Run its code."""
        code = self._codes.pop(module.__name__, None) or self._load(*self._places[module.__name__][1:])
        module.__file__ = module.__spec__.origin  # importlib would also make up the name of a .pyc, at length
        exec(code, module.__dict__)


def content(folder: str, names: list) -> bytes:
    """What belongs into the file, for the .py files of `names` below the folder, which have been compiled there."""
    from importlib.util import cache_from_source

    places, codes, body = {}, {}, bytearray()

    def put(data):
        body.extend(data)
        return len(body) - len(data), len(data)

    for name in names:
        with open(cache_from_source(folder + "/" + name), "rb") as file:
            code = file.read()[16 if sys.version_info >= (3, 7) else 12 :]  # behind the header (PEP 552)
        module = name[:-3].replace("/", ".")
        package = module.endswith(".__init__")
        module = module[:-9] if package else module
        places[module] = (package,) + put(code)
        codes[module] = code
    company = put(dumps({one: loads(codes[one]) for one in _imported(folder) if one in codes}))
    head = dumps((places, company))
    return MAGIC_NUMBER + (8 + len(head)).to_bytes(4, "little") + head + body


def _imported(folder):
    """What is imported with the maker of containers; nothing where that cannot be found out."""
    import subprocess

    script = "import sys; sys.path.insert(0, sys.argv[1]); import %s; print(*sys.modules)" % _MAKER
    words = [sys.executable, "-IS", "-c", script, folder]
    found = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    return found.stdout.decode().split()
