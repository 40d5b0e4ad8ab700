"""Runs modules for the tests, a forked process each, on any Python from 3.6: JSON requests on stdin, answers on stdout.

A request is {"path": module file, "args", "check", "diff", "upload": base64 or None}; the answer is the result.
"""

import base64
import importlib.util
import io
import json
import os
import sys
import traceback

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from shepherd.remote.task import Failure, Task  # noqa: E402


def load(path):
    spec = importlib.util.spec_from_file_location("module_" + os.path.basename(path)[:-3], path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def answer(request):
    upload = request.get("upload")
    task = Task(
        request["args"],
        check=request["check"],
        diff=request["diff"],
        upload=None if upload is None else io.BytesIO(base64.b64decode(upload)),
    )
    os.umask(0o022)
    try:
        result = load(request["path"]).run(task)
    except Failure as failure:
        result = dict(failure.result, failed=True)
    except Exception as error:
        result = {"failed": True, "msg": str(error), "exception": traceback.format_exc()}
    if task.warnings:
        result["warnings"] = task.warnings
    return result


def main():
    out = os.dup(1)
    os.dup2(2, 1)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            text = json.dumps(answer(json.loads(line))) + "\n"
            view = text.encode()
            while view:
                view = view[os.write(out, view) :]
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status:
            os.write(out, (json.dumps({"failed": True, "msg": "the process died: %d" % status}) + "\n").encode())


main()
