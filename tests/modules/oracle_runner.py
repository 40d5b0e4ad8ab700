"""Run ansible-core's modules, one forked process each: JSON requests on stdin, JSON answers on stdout, a line each.

Started by the Python of the environment that holds ansible-core. A request is {"module", "args", "check", "diff"}.
"""

import contextlib
import importlib
import json
import os
import sys

from ansible.module_utils import basic


def answer(request, out):
    arguments = dict(request["args"], _ansible_check_mode=request["check"], _ansible_diff=request["diff"])
    basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode()
    module = importlib.import_module("ansible.modules." + request["module"])
    os.dup2(out, 1)
    os.umask(0o022)
    try:
        module.main()
    except SystemExit:
        pass
    except BaseException as error:  # noqa: BLE001  # whatever it is, it is the answer
        if sys.excepthook is sys.__excepthook__:
            print(json.dumps({"failed": True, "raised": type(error).__name__, "msg": str(error)}))
        else:  # a module that reports its failures by a hook of its own
            with contextlib.suppress(SystemExit):
                sys.excepthook(*sys.exc_info())
    sys.stdout.flush()
    os._exit(0)


for line in sys.stdin:
    request = json.loads(line)
    importlib.import_module("ansible.modules." + request["module"])
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        answer(request, writing)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    print(json.dumps({"text": text}), flush=True)
