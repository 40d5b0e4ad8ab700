"""Facts of facter and ohai, where those programs are installed. They are started, and are slow."""

from shepherd.remote import programs, wire


def facter(known):
    return _told("facter", ["--puppet", "--json"], "facter_", known)


def ohai(known):
    return _told("ohai", [], "ohai_", known)


def _told(program, arguments, prefix, known):
    path = programs.find(program)
    if path is None:
        return {}
    from shepherd.remote import process

    try:
        finished = process.run([path] + arguments, timeout=max(known.timeout, 60))
        told = wire.loads(finished.stdout.strip()) if finished.status == 0 else {}
    except (OSError, ValueError, process.CommandTimeoutError):
        return {}
    return {prefix + name: value for name, value in told.items()}
