"""A process that somebody waits for: signals go to it, its terminal is the person's, its exit code is ours."""

import _signal as signal  # signal itself costs an import of enum
import os

from shepherd.runtime.bundle import create, lifecycle, state

# Not those that mean something is wrong in this process, that cannot be caught, or that the terminal stops jobs with
_FORWARDED = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGCONT,
    signal.SIGWINCH,
)


def run(request, detach: bool = False, keep: bool = False) -> int:
    """Create a container, start it, wait for it and delete it: its exit code, 128 + n after signal n.

    With `detach` it is left running and the result is 0; with `keep` it is not deleted.
    """
    relayed = pair = None
    if request.config.get("process") and request.config["process"].get("terminal") and not request.console_socket:
        if detach:
            from shepherd.runtime.errors import RuntimeFailure

            raise RuntimeFailure("/process/terminal: --detach needs --console-socket")
        pair = ask_for_terminal(request)
    if not detach:
        signal.pthread_sigmask(signal.SIG_BLOCK, (*_FORWARDED, signal.SIGCHLD))
    container = create.create(request, start=True)
    with container:
        pid = container.record["pid"]
        if pair:
            from shepherd.runtime.bundle import terminal

            relayed = terminal.receive(pair[0])
            pair[0].close()
        lifecycle.after_start(container)
    if detach:
        return 0
    code = wait(pid, lambda number: state.signal_process(container.record, number), relayed)
    if not keep:
        lifecycle.delete(request.root, request.name, force=True)
    return code


def ask_for_terminal(request) -> tuple:
    """Have the other end of the process's terminal sent here, for `wait`: (the socket it comes from, its other end)."""
    import _socket as socket
    import termios  # noqa: F401 - for the process inside, which loads nothing

    pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC, 0)
    request.console, request.plain = pair[1], True
    return pair


def wait(pid: int, send, master=None) -> int:
    """Wait for a child of ours. `send(number)` gives it a signal; `master` is its terminal's other end."""
    if master is None:
        status = _wait_quietly(pid, send)
    else:
        status = _wait_relaying(pid, send, master)
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def _wait_quietly(pid, send):
    """The signals are blocked: each is taken when it has come."""
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return status
        number = signal.sigwait((*_FORWARDED, signal.SIGCHLD))
        if number not in (signal.SIGCHLD, signal.SIGWINCH):
            send(number)


def _wait_relaying(pid, send, master):
    from shepherd.runtime.bundle import terminal

    os.set_blocking(master, True)
    with terminal.Relay(master, plain=True) as relay:

        def handle(number, _frame):
            if number == signal.SIGWINCH:
                relay.resize()
            elif number != signal.SIGCHLD:
                send(number)

        for number in (*_FORWARDED, signal.SIGCHLD):
            signal.signal(number, handle)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (*_FORWARDED, signal.SIGCHLD))
        status = None
        while status is None:
            more = relay.turn(100)
            done, found = os.waitpid(pid, os.WNOHANG if more else 0)
            status = found if done else None
        while relay.turn(0) and relay.moved:
            pass  # what it said last
    os.close(master)
    return status
