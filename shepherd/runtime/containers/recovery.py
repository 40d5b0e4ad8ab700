"""What to do about a container whose monitor was killed, or whose machine went down."""

import os

from shepherd.runtime.bundle import state as processes
from shepherd.runtime.containers import clock, policy
from shepherd.runtime.containers import record as records
from shepherd.runtime.errors import RuntimeFailure

LOST = 255


def needed(record, state: dict) -> bool:
    """Whether it has no monitor and is said to be alive, or has processes that nobody was told of."""
    if state["Status"] not in records.ALIVE and not os.path.exists(os.path.join(record.folders.started, record.id)):
        return False
    return not record.monitor()


def recover(record, restart: bool = True) -> None:
    """Give a container that lost its monitor another one, or see that it has ended. The record is locked.

    With `restart` one that has ended is started again where its policy says so.
    """
    from shepherd.runtime.containers import events, finishing, launch  # who asks whether it is needed needs none of it

    state = record.state()
    if not needed(record, state):
        return
    if state["Status"] not in records.ALIVE:
        finishing.finish(record)  # it was killed while it started the container
        return
    if processes.alive(record.process(state)):
        connection = launch.monitor(record, "adopt")
        try:
            connection.started()
            return
        except launch.StartFailure:
            pass  # it has ended meanwhile
        finally:
            connection.close()
    waiting = state["Status"] == "restarting"
    killed = finishing.finish(record)
    state.update(Status="exited", Pid=0, Began=0, FinishedAt=clock.stamp(), OOMKilled=killed)
    if not waiting:
        state.update(ExitCode=LOST, Error="its monitor was killed, and the exit code is not known")
    _save(record, state)
    events.write(record, "die", {"exitCode": str(state["ExitCode"])})
    if record.host.get("AutoRemove"):
        from shepherd.runtime.containers import removal

        removal.remove_own(record)
        return
    finishing.sweep_running(record)
    if (restart and state["Boot"] == records.boot()) or waiting:
        count = state["RestartCount"]
        if policy.again(record.host.get("RestartPolicy") or {}, state["ExitCode"], record.stopped, count):
            state["Status"] = "restarting"
            _save(record, state)
            connection = launch.monitor(record, "again")
            connection.hear()  # who has the record next would else take this monitor, without its lock yet, for lost
            connection.close()


def _save(record, state):
    try:
        record.save_state(state)
    except OSError:
        pass  # no room on the disk: found out again by the next one, unless that removes it


def look_after(record) -> None:
    """Recover it where that is needed and nobody else is at it."""
    if needed(record, record.state()):
        try:
            with record:
                recover(record)
        except RuntimeFailure:
            pass  # removed meanwhile
