"""Functions of the C library: what ctypes does, by its compiled half alone, where Python has that as we know it.

The other half of ctypes takes longer to import than all of a container's mounts to make.
"""

import os

try:
    import _ctypes

    class c_int(_ctypes._SimpleCData):  # noqa: N801 - named as C and ctypes name it
        """int"""

        _type_ = "i"

    class c_uint(_ctypes._SimpleCData):  # noqa: N801
        """unsigned int"""

        _type_ = "I"

    class c_long(_ctypes._SimpleCData):  # noqa: N801
        """long: as wide as a register"""

        _type_ = "l"

    class c_ulong(_ctypes._SimpleCData):  # noqa: N801
        """unsigned long"""

        _type_ = "L"

    class c_ulonglong(_ctypes._SimpleCData):  # noqa: N801
        """unsigned long long: 64 bits"""

        _type_ = "Q"

    class c_char_p(_ctypes._SimpleCData):  # noqa: N801
        """char *, to bytes that have to be kept meanwhile"""

        _type_ = "z"

    class _Function(_ctypes.CFuncPtr):
        _flags_ = _ctypes.FUNCFLAG_CDECL | _ctypes.FUNCFLAG_USE_ERRNO
        _restype_ = c_int

    class _LockedFunction(_ctypes.CFuncPtr):
        _flags_ = _ctypes.FUNCFLAG_CDECL | _ctypes.FUNCFLAG_USE_ERRNO | _ctypes.FUNCFLAG_PYTHONAPI
        _restype_ = c_int

    class _Library:
        """Functions by name, of all that this process has loaded."""

        _handle = _ctypes.dlopen(None, 0)

        def __init__(self, kind):
            self._kind = kind

        def __getattr__(self, name):
            function = self._kind((name, self))
            setattr(self, name, function)
            return function

    get_errno = _ctypes.get_errno
    libc = _Library(_Function)
    locked = _Library(_LockedFunction)  # calls that keep Python's lock
    if libc.getpid() != os.getpid():
        raise TypeError

    def typed(name, *kinds, result=c_int):
        """A function of the C library whose arguments are of these kinds: to convert them takes half of a call."""
        function = _Function((name, libc))
        function.argtypes, function.restype = kinds, result
        return function

    def at(place: int, *kinds):
        """The function whose instructions begin at this address; it returns a long."""
        function = _Function(place)
        function.argtypes, function.restype = kinds, c_long
        return function

except (ImportError, AttributeError, TypeError):  # another Python, or one that has changed it
    import ctypes
    from ctypes import c_char_p, c_int, c_long, c_uint, c_ulong, c_ulonglong, get_errno  # noqa: F401

    libc = ctypes.CDLL(None, use_errno=True)
    locked = ctypes.PyDLL(None, use_errno=True)

    def typed(name, *kinds, result=c_int):
        """A function of the C library whose arguments are of these kinds."""
        function = libc[name]
        function.argtypes, function.restype = kinds, result
        return function

    def at(place: int, *kinds):
        """The function whose instructions begin at this address; it returns a long."""
        return ctypes.CFUNCTYPE(c_long, *kinds)(place)


def address(data: bytes) -> bytes:
    """Where these bytes are, as a structure of the kernel's holds it: 64 bits. They have to be kept meanwhile."""
    return bytes(c_char_p(data)).ljust(8, b"\0")
