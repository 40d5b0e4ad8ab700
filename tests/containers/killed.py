"""A module on a lab host without a connection. It is killed after one of the commands that it gives the runtime, with
all of its processes: as it is when the controller goes, or the connection."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shepherd.lab.session import LabHost

CHECKOUT = Path(__file__).parents[2]
PLACE = "/root/ours"
# The tasks that bring our sources to a host
OURS = {"shepherd/remote": "shepherd/remote", "modules": "shepherd/modules"}
SOURCES = [{"copy": {"src": f"{CHECKOUT}/{here}/", "dest": f"{PLACE}/{there}/"}} for here, there in OURS.items()]
SCRIPT = f"""\
import importlib, json, multiprocessing, os, signal, sys
sys.path.insert(0, "{PLACE}")
os.setsid()
from shepherd.remote import installed
from shepherd.remote.task import Failure, Task
name, args, number = json.loads(sys.stdin.read())
attempt_all, count = installed.Runtime.attempt_all, multiprocessing.Value("i", 0)
def counted(self, commands, otherwise=(), stdin=None, apart=False, killed=()):
    for one in commands:  # one by one, so that it can be killed between any two
        done = attempt_all(self, [one], stdin=stdin)
        with count.get_lock():
            count.value += 1
            if count.value == number:
                os.killpg(0, signal.SIGKILL)
        if done.status:
            break
    return done
if number:
    installed.Runtime.attempt_all = counted
args["_runtime"] = os.path.basename(installed.current()).split("-")[1]
try:
    print(json.dumps(importlib.import_module("shepherd.modules." + name).run(Task(args))))
except Failure as failure:
    print(json.dumps(dict(failure.result, failed=True)))
"""


def run(host: LabHost, module: str, args: dict[str, Any], number: int = 0) -> dict[str, Any] | None:
    """The module's result; None where it was killed, after the command with that number."""
    given = json.dumps([module, args, number])
    # in a process of its own: whoever started it is not to be killed, too
    done = host.exec(["/bin/sh", "-c", '/usr/bin/python3 -c "$0"; exit $?', SCRIPT], stdin=given, check=False)
    if number and done.returncode == 137:
        return None
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found
