"""Containers, as they are declared.

What the action on the controller and this module say to each other: `_runtime` as in container_runtime; `_image`, in
check mode, is the digest that an earlier task of the play would have given the image's name here.
"""

import os

from shepherd.remote import declaration, installed, instances, prerequisites, rolling, steps

SPEC = {
    "summary": "Manage containers",
    "description": "Has containers run as declared. What was declared is kept with each instance and compared with what"
    " is declared now: where they are the same, nothing is touched; where they differ, the diff names each field, and"
    " new instances take the places of the old ones, some at a time. They are started beside them and must become"
    " healthy, or run; then they get the connections of the ports that both publish, and the old ones go when theirs"
    " have ended. What does not become healthy goes, the old ones serve on, and the task fails with the last answers of"
    " the health check and the last lines of the log.",
    "options": {
        "name": {"type": "str", "required": True, "help": "What the container is called."},
        "image": {
            "type": "str",
            "help": "The name of an image that is on the target; see `container_image`. It is pinned by its digest: a"
            " name that came to mean another image is a change.",
        },
        "state": {
            "type": "str",
            "choices": ["absent", "present", "rolled_back", "started", "stopped"],
            "default": "started",
            "help": "`started`: it is there and runs; `stopped`: it is there and does not run; `present`: it is there;"
            " `absent`: it is not, nor are its anonymous volumes. `rolled_back`: it runs as it was declared before the"
            " last change, with that image and those secrets, whatever else is said here but `update`; a play that"
            " declares it `started` again goes forward.",
        },
        "command": {
            "type": "raw",
            "help": "The words that are run, in place of the image's command. A text is taken apart as a shell"
            " would; no shell runs.",
        },
        "entrypoint": {
            "type": "raw",
            "help": "What `command` is given to, in place of the image's entry point. A list or a text, as there.",
        },
        "env": {
            "type": "dict",
            "help": "Variables. The diff says which change; their values are hidden, but for those in `show_env`.",
        },
        "show_env": {"type": "list", "elements": "str", "default": [], "help": "Variables whose values may be seen."},
        "secrets": {
            "type": "dict",
            "no_log": True,
            "help": "Files in `/run/secrets/`, by name or `NAME:MODE[:UID[:GID]]`: text. They lie in a tmpfs, are"
            " read-only, of mode 0400 unless another is said, and belong to the container's user unless numbers are"
            " said; they are in no argument, environment, log or diff.",
        },
        "volumes": {
            "type": "list",
            "elements": "str",
            "help": "`VOLUME:PATH[:ro]` or `/ON/THE/TARGET:PATH[:ro]`. Volumes that are missing are made.",
        },
        "tmpfs": {"type": "list", "elements": "str", "help": "Folders in memory: `PATH[:size=64m,…]`."},
        "networks": {
            "type": "list",
            "elements": "raw",
            "help": "Networks that are there, see `container_network`; or `none`, or `host`. Others on them find the"
            " container by `name`, which stands for all its replicas. Default: the network that all share, where"
            " there are no names. `container:NAME`: that container's; it is made anew or started"
            " again when that one was."
            " `{name: NETWORK, ipv4_address: ADDRESS, ipv6_address: ADDRESS}`: it has these addresses there; it is"
            " changed by `stop-first` then, and there is one of it.",
        },
        "aliases": {
            "type": "list",
            "elements": "str",
            "help": "More names for it on its networks, besides `name`.",
        },
        "ports": {
            "type": "list",
            "elements": "str",
            "help": "`[ADDRESS:][PORT:]CONTAINER_PORT[/udp]`. Without an address a port is published on 127.0.0.1"
            " alone; say `0.0.0.0:443:8443` for everybody. A port that is named is published by all instances together:"
            " connections are spread over those that are well.",
        },
        "resources": {
            "type": "dict",
            "help": "What it may use.",
            "options": {
                "memory": {"type": "str", "help": "Bytes, such as `256M`."},
                "memory_swap": {"type": "str", "help": "Bytes of memory and swap together."},
                "reservation": {"type": "str", "help": "Bytes that it keeps when memory is short."},
                "cpus": {"type": "float", "help": "Processors, such as `0.5`."},
                "cpu_shares": {"type": "int", "help": "Its weight where processors are short. Default: 1024."},
                "cpuset": {"type": "str", "help": "The numbers of the processors, such as `0-1,3`."},
                "pids": {"type": "int", "help": "Processes and threads."},
            },
        },
        "health": {
            "type": "dict",
            "help": "How it is found out whether it is well.",
            "options": {
                "command": {"type": "str", "help": "A command that the container's own `sh` runs: 0 is well."},
                "exec": {"type": "raw", "help": "The same as words, a list or a text of them, without a shell."},
                "http": {"type": "str", "help": "An address that must answer 200 to 399, such as `:8080/healthz`."},
                "tcp": {"type": "str", "help": "A port that must take a connection."},
                "interval": {"type": "str", "help": "The time between checks, such as `2s`. Default: 30 s."},
                "timeout": {"type": "str", "help": "The time that a check may take. Default: 30 s."},
                "retries": {"type": "int", "help": "Checks in a row that must fail. Default: 3."},
                "start_period": {"type": "str", "help": "The time in which failures do not count. Default: none."},
                "start_interval": {
                    "type": "str",
                    "help": "The time between checks in the start period. Without it a new instance is asked soon"
                    " and often until it is well for the first time: after 0.1 s, and then whenever a tenth more of"
                    " its time has passed, at least every 5 s and every `interval`. Of those checks only as many count"
                    " as failed as there would be by `interval` alone.",
                },
                "disable": {"type": "bool", "default": False, "help": "No check, not the image's either."},
            },
            "constraints": {"mutually_exclusive": [["command", "exec", "http", "tcp"]]},
        },
        "settle": {
            "type": "float",
            "default": 1.0,
            "help": "Seconds that a new instance without a health check must run, to count as well.",
        },
        "restart": {
            "type": "str",
            "help": "When it is started again after it ended: `no`, `always`, `unless-stopped`, `on-failure[:TIMES]`.",
        },
        "labels": {"type": "dict", "help": "Labels. Those that begin with `shepherd.` are our own."},
        "user": {"type": "str", "help": "`USER[:GROUP]` of the image, or numbers."},
        "workdir": {"type": "str", "help": "The folder in which the command begins."},
        "hostname": {"type": "str", "help": "Its name for itself. Default: the instance's."},
        "read_only": {"type": "bool", "default": False, "help": "Nothing is written outside volumes and tmpfs."},
        "init": {"type": "bool", "default": False, "help": "A first process that takes care of orphans."},
        "cap_add": {"type": "list", "elements": "str", "help": "Capabilities more than by default."},
        "cap_drop": {"type": "list", "elements": "str", "help": "Capabilities fewer, or `ALL`."},
        "security_opt": {
            "type": "list",
            "elements": "str",
            "help": "`no-new-privileges`, `seccomp=FILE`, `apparmor=PROFILE`, …; see the runtime's page on isolation.",
        },
        "privileged": {"type": "bool", "default": False, "help": "As good as root of the target. Not isolated."},
        "devices": {"type": "list", "elements": "str", "help": "`/dev/NAME[:/dev/INSIDE][:rwm]`."},
        "group_add": {"type": "list", "elements": "str", "help": "More groups of its user, by name or number."},
        "sysctls": {"type": "dict", "help": "Settings of its namespaces' kernel, such as `net.core.somaxconn`."},
        "ulimits": {"type": "dict", "help": "Limits of its processes: `{nofile: 1024:4096}`, soft and hard."},
        "shm_size": {"type": "str", "help": "Bytes of `/dev/shm`. Default: 64M."},
        "oom_score_adj": {"type": "int", "help": "How soon it is killed when memory is short, -1000 to 1000."},
        "domainname": {"type": "str", "help": "The domain of its name for itself."},
        "extra_hosts": {"type": "dict", "help": "More names that it knows, and their addresses; `host-gateway`: ours."},
        "dns": {"type": "list", "elements": "str", "help": "Servers of names that it asks. Default: the target's."},
        "dns_search": {"type": "list", "elements": "str", "help": "Domains in which it looks for short names."},
        "dns_opt": {"type": "list", "elements": "str", "help": "Options of its `resolv.conf`."},
        "pid": {"type": "str", "choices": ["host"], "help": "`host`: it sees the target's processes."},
        "ipc": {
            "type": "str",
            "choices": ["private", "shareable", "host"],
            "help": "Whose shared memory it has. Default: its own.",
        },
        "uts": {"type": "str", "choices": ["host"], "help": "`host`: the target's name is its own."},
        "tty": {"type": "bool", "default": False, "help": "Its output is a terminal."},
        "stdin_open": {"type": "bool", "default": False, "help": "Its input stays open."},
        "log": {
            "type": "dict",
            "help": "What is kept of what it says.",
            "options": {
                "driver": {"type": "str", "choices": ["json-file", "none"], "help": "`none`: nothing is kept."},
                "max_size": {"type": "str", "help": "Bytes of a file, such as `10m`. Default: 16 MiB."},
                "max_file": {"type": "int", "help": "How many files. Default: 4."},
            },
        },
        "stop_signal": {"type": "str", "help": "What tells it to end. Default: the image's, else `SIGTERM`."},
        "stop_timeout": {"type": "int", "help": "Seconds until it is killed then. Default: 10."},
        "replicas": {
            "type": "int",
            "help": "How many instances, called NAME-1, NAME-2, …; those beyond are removed. Without it there is one,"
            " called NAME.",
        },
        "update": {
            "type": "dict",
            "help": "How new instances take the places of old ones.",
            "options": {
                "order": {
                    "type": "str",
                    "choices": ["start-first", "stop-first"],
                    "help": "Default: `start-first`, where two can run at once: not on the network `host`, not where"
                    " the kernel translates ports, and not where a single instance writes to a volume or a folder of"
                    " the machine.",
                },
                "at_a_time": {"type": "int", "default": 1, "help": "How many are changed at once."},
                "drain": {
                    "type": "str",
                    "default": "10s",
                    "help": "The time that connections of an old instance have to end before it is told to.",
                },
                "on_failure": {
                    "type": "str",
                    "choices": ["rollback", "pause", "continue"],
                    "default": "rollback",
                    "help": "When one does not become well: `rollback`: all old ones are back; `pause`: those that were"
                    " changed stay so; `continue`: the others are changed all the same. The task fails in any case.",
                },
            },
        },
        "recreate": {"type": "bool", "default": False, "help": "Replace instances although nothing differs."},
        "force": {
            "type": "bool",
            "default": False,
            "help": "Also replace or remove a container of that name which no play has declared.",
        },
    },
    "constraints": {
        "required_if": [
            ["state", "started", ["image"]],
            ["state", "stopped", ["image"]],
            ["state", "present", ["image"]],
        ],
    },
    "identity": ["name"],
    "absent": {"state": "absent"},
    "returns": {
        "instances": {
            "type": "list",
            "help": "What is there now.",
            "sample": [{"name": "shop", "id": "5d0b…", "status": "running", "health": "healthy"}],
        },
        "changes": {
            "type": "list",
            "help": "What was done, and why.",
            "sample": ["shop: replaced (resources.memory: 134217728 → 268435456)"],
        },
        "update": {
            "type": "dict",
            "help": "When instances were replaced: `order`, and why that is not start-first although nobody said so.",
            "sample": {"order": "start-first"},
        },
        "spec": {"type": "str", "help": "The digest of what is declared.", "sample": "88ed1c7b…"},
        "health": {"type": "list", "help": "When it failed: the last answers of the health check.", "sample": []},
        "log": {"type": "list", "help": "When it failed: the last lines of the log.", "sample": []},
    },
    "check": "full",
    "diff": "full",
    "platforms": ["linux"],
    "since": "0.1",
    "examples": """
- name: A shop
  container:
    name: shop
    image: "shop:{{ version }}"
    networks: [front]
    ports: ["0.0.0.0:443:8443"]
    env:
      LOG_LEVEL: info
      DATABASE_URL: "{{ vaulted_url }}"
    show_env: [LOG_LEVEL]
    secrets:
      tls.key: "{{ vaulted_key }}"
    volumes: ["shop-data:/data", "/etc/shop:/etc/shop:ro"]
    resources: {memory: 256M, cpus: 0.5, pids: 100}
    health: {http: ":8443/healthz", interval: 2s, retries: 5, start_period: 5s}
    restart: always

- name: Three workers, found by the name `worker`
  container:
    name: worker
    image: "shop:{{ version }}"
    command: [/bin/work, --forever]
    networks: [front]
    replicas: 3

- name: Three that share a port, changed one by one without an outage
  container:
    name: web
    image: "web:{{ version }}"
    replicas: 3
    ports: ["0.0.0.0:80:8080"]
    health: {http: ":8080/healthz", interval: 1s}
    update: {order: start-first, at_a_time: 1, drain: 10s, on_failure: rollback}

- name: Back to what was declared before
  container:
    name: web
    state: rolled_back

- name: No longer
  container:
    name: report
    state: absent
""",
}


def run(task):
    args = task.args
    if args["replicas"] is not None and args["replicas"] < 1:
        task.fail("replicas: should be 1 or more; for none there is `state: absent`")
    try:
        settings = rolling.Settings(args["update"])
    except declaration.DeclarationError as error:
        task.fail(str(error))
    runtime = installed.find(task)
    if runtime is None and not task.check:
        return installed.needed() if args["state"] != "absent" else {"changed": False, "instances": []}
    found, before = _found(task, runtime)
    wanted = _wanted(args, found)
    old = next((found[name].declared for name in wanted if name in found), {})
    if args["state"] == "rolled_back":
        declared = _before(task, before).declared
    else:
        declared = _declared(task, runtime, old.get("salt") or os.urandom(16).hex()) if wanted else {}
    if declared and runtime is not None:
        prerequisites.check(task, runtime, declared, len(wanted))
    left, found = rolling.leftovers(found) if wanted else ([], found)
    rollout = None
    if left and runtime is not None and not task.check:
        rollout = rolling.rollout(task, runtime, settings, declared, before)
        rollout.tidy(left, _found(task, runtime)[0])
        found, before = _found(task, runtime)
    if before is not None and not wanted:
        found[before.name] = before
    seen = {name: one.state for name, one in found.items()}
    plan = list(steps.plan(args, found, seen, wanted, declared))
    told = ["%s: %s" % step[::-1] for step in left] + [steps.told(*step[:2], step[3]) for step in plan]
    result = {"changed": bool(told), "changes": told}
    if declared:
        same = next((one.spec for one in found.values() if one.declared == declared), None)
        result["spec"] = same or declaration.digest_of(declared)
    if task.diff and plan:
        result["diff"] = steps.diff(plan)
    if plan and runtime is not None:
        rollout = rollout or rolling.rollout(task, runtime, settings, declared, before)
        result.update(rollout.do(plan, len(wanted)))
        if not task.check:
            found, _before_it = _found(task, runtime)
            seen = {name: one.state for name, one in found.items()}
    kept = wanted if wanted else [] if not task.check else sorted(found)
    result["instances"] = [found[name].shown(seen[name]) for name in kept if name in found]
    return result


def _found(task, runtime):
    """({name: Instance}, the one that keeps what was declared before, or None)."""
    args = task.args
    found = {} if runtime is None else instances.find(runtime, args["name"])
    before = found.pop(args["name"] + instances.PREVIOUS, None)
    for name in [name for name, one in found.items() if one.app != args["name"]]:
        if name not in instances.names(args):
            del found[name]  # a name like ours, and none of ours
        elif not args["force"]:
            task.fail(
                "the container %s is there, and no play has declared it: rename or remove it, or say `force: true`"
                % name
            )
    return found, before if before is not None and before.is_kept else None


def _wanted(args, found):
    """Names of instances."""
    if args["state"] == "absent":
        return []
    if args["state"] == "rolled_back":
        return sorted({instances.place(name) for name in found}) or [args["name"]]
    return instances.names(args)


def _before(task, before):
    if before is None:
        task.fail("there is nothing to return to: nothing else was declared of %s before, or it is not kept here"
                  % task.args["name"])  # fmt: skip
    return before


def _declared(task, runtime, salt):
    digest = task.args.get("_image") if task.check else None
    if digest is None and runtime is not None:
        digest = _digest(task, runtime)
    try:
        return declaration.declare(task.args, digest or "", salt)
    except declaration.DeclarationError as error:
        return task.fail(str(error))


def _digest(task, runtime):
    """What the image's name means here."""
    name = task.args["image"]
    try:
        found = runtime.meaning(name)
    except runtime.part("errors").RuntimeFailure as error:
        return task.fail("image: %s" % error.message)
    if found is None and not task.check:
        task.fail("there is no image %s here: bring it with container_image first" % name)
    return found
