"""A command in a container that runs. `_runtime` is as in container_runtime."""

from shepherd.remote import installed

SPEC = {
    "summary": "Run a command in a container",
    "description": "Runs a program with its arguments inside a container. No shell is involved, here or there.",
    "options": {
        "name": {"type": "str", "required": True, "help": "The container, or the instance of one."},
        "command": {"type": "list", "elements": "str", "required": True, "help": "The program and its arguments."},
        "user": {"type": "str", "help": "`USER[:GROUP]` of the image, or numbers. Default: the container's."},
        "workdir": {"type": "str", "help": "The folder in which it runs. Default: the container's."},
        "env": {"type": "dict", "default": {}, "help": "Variables more than the container's."},
        "stdin": {"type": "str", "help": "What it reads; at most 1 MiB."},
    },
    "returns": {
        "rc": {"type": "int", "help": "Its exit status.", "sample": 0},
        "stdout": {"type": "str", "help": "What it wrote to its standard output."},
        "stderr": {"type": "str", "help": "What it wrote to its standard error."},
        "cmd": {"type": "list", "help": "The command.", "sample": ["/bin/migrate", "--all"]},
    },
    "check": "none",
    "diff": "none",
    "platforms": ["linux"],
    "since": "0.1",
    "examples": """
- name: Bring the database up to date
  container_exec:
    name: shop-1
    command: [/bin/migrate, --all]
  register: migrated
  changed_when: "'nothing to do' not in migrated.stdout"
""",
}


def run(task):
    args = task.args
    if task.check:
        return {"changed": False, "skipped": True, "msg": "the command would run, and was not in check mode"}
    runtime = installed.find(task)
    if runtime is None:
        return installed.needed()
    words = ["exec"]
    for option, value in (("--user", args["user"]), ("--workdir", args["workdir"])):
        words += [option, value] if value is not None else []
    for name, value in args["env"].items():
        words += ["--env", "%s=%s" % (name, value)]
    content = args["stdin"]
    if content is not None:
        words.append("-i")
    done = runtime.attempt(words + ["--", args["name"]] + args["command"], stdin=content)
    result = {"changed": True, "rc": done.status, "cmd": args["command"]}
    result.update(stdout=done.stdout.rstrip("\r\n"), stderr=done.stderr.rstrip("\r\n"))
    if done.status:
        task.fail("the command ended with status %d: %s" % (done.status, installed.told(done)), **result)
    return result
