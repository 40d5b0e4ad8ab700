"""The environment variables, the kernel's command line, the Python that runs this."""

import os
import sys

from shepherd.remote.facts import files


def variables(_):
    return {"env": dict(os.environ)}


def kernel_arguments(_):
    content = files.text("/proc/cmdline")
    if not content:
        return {}
    words = _words(content)
    last, every = {}, {}
    for word in words:
        name, equals, value = word.partition("=")
        value = value if equals else True
        last[name] = value
        if name in every and equals:
            if not isinstance(every[name], list):
                every[name] = [every[name]]
            every[name].append(value)
        else:
            every[name] = value
    return {"cmdline": last, "proc_cmdline": every}


def _words(content):
    """The kernel's arguments, in which quotes keep spaces together and stay."""
    if "'" in content or '"' in content:
        import shlex

        try:
            return shlex.split(content, posix=False)
        except ValueError:
            pass
    return content.split()


def python(_):
    version = sys.version_info
    return {
        "python": {
            "version": {
                "major": version.major,
                "minor": version.minor,
                "micro": version.micro,
                "releaselevel": version.releaselevel,
                "serial": version.serial,
            },
            "version_info": list(version),
            "executable": sys.executable,
            "type": sys.implementation.name,
            "has_sslcontext": _has_ssl(),
        }
    }


def _has_ssl():
    """Whether ssl can be imported, without doing so: that takes longer than all the rest."""
    from _frozen_importlib_external import PathFinder  # what importlib.machinery offers, without its imports

    return PathFinder.find_spec("_ssl") is not None
