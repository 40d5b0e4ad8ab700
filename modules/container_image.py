"""Images of containers, brought to a machine without a registry, or by one.

What the action on the controller and this module say to each other: `_runtime` as in container_runtime. For `archive`
and what was built on the controller, `_image` is {"descriptor": as in an OCI index, "blobs": [[digest, size], …]}.
Where blobs are missing the answer is {"need": "blobs", "blobs": [[digest, offset], …]}: nothing has the image's name
yet. The action runs the module again with `_parts`, a list of [digest, offset, length], and their content, one after
the other, as upload, until the answer is the result. A blob that came in part is gone on with, in the next play too;
`_begun` are digests of such ones: where the whole is wrong, all of it is asked for again.
For what the target builds, the upload is the folder as a tar, and `_build` are words of the command; `_build_files` are
[option, beginning of its value, content]: options whose value ends with the path of a file of that content. With
`_build_only` it builds for others: under a name of its own, and the answer is {"store": folder, "image": as `_image`}.
With `_peer` it gets what it lacks from another machine first, and its answers have how many bytes came so (`fetched`)
and why not all did (`refused`). With `_serve` it is that other machine. With `_whole` the answer is {"need": "name"}
when nothing is missing any more, before anything is unpacked: so that others can have it meanwhile.
For what the controller pulls, a target without that name answers {"need": "image", "platform": "linux/amd64"}.
"""

import os

from shepherd.remote import delivery, installed, older_images
from shepherd.remote.made import BROUGHT

SPEC = {
    "summary": "Manage images of containers",
    "description": "Brings an image to the target: from an archive on the controller, of which the layers go over the"
    " connection that are not there yet; from a registry; or removes one. What a name means is a digest: one that moved"
    " is a change, and the diff shows both.",
    "options": {
        "name": {
            "type": "str",
            "required": True,
            "aliases": ["reference"],
            "help": "What the image is called on the target, such as `shop:1.2`. Without a tag it is `latest`.",
        },
        "archive": {
            "type": "path",
            "help": "A file on the controller, looked for in `files/`: what `docker save` writes or an OCI image"
            " layout, as tar, `.gz` or `.zst`; or the folder of a layout. It has one image.",
        },
        "build": {
            "type": "path",
            "help": "A folder on the controller with a Containerfile or Dockerfile. It is built on the controller where"
            " that is Linux and runs as root, once for all hosts and in check mode too, and sent like an archive; else"
            " each target builds it. Times in it are those of `SOURCE_DATE_EPOCH`, so that the same sources make the"
            " same image.",
        },
        "build_on": {
            "type": "str",
            "help": "A host of the inventory that builds, once for all hosts; the image comes from there to the"
            " controller, and goes to the others. There it is called `shepherd.build/NAME`. In check mode nothing is"
            " built.",
        },
        "containerfile": {"type": "str", "help": "Another file of that folder to build by."},
        "containerfile_content": {"type": "str", "help": "The text to build by, where the folder has no such file."},
        "build_target": {"type": "str", "help": "The stage of that file to build. Default: the last."},
        "build_args": {"type": "dict", "default": {}, "help": "Values for its `ARG`s. They can be seen in the image."},
        "build_secrets": {
            "type": "dict",
            "no_log": True,
            "help": "Texts for `RUN --mount=type=secret,id=NAME`, by name. They are not in the image.",
        },
        "build_labels": {"type": "dict", "default": {}, "help": "Labels for the image."},
        "build_network": {
            "type": "bool",
            "default": False,
            "help": "Whether its `RUN` steps have the network of the machine that builds.",
        },
        "pull": {
            "type": "str",
            "help": "This is fetched from a registry, such as `registry.example/shop:1.2` or"
            " `registry.example/shop@sha256:…`. It is asked again only with `force`.",
        },
        "pull_by": {
            "type": "str",
            "choices": ["controller", "target"],
            "default": "target",
            "help": "Who asks the registry. The controller does it once for all hosts that lack the image, with its own"
            " credentials where none are given, and sends it like an archive: targets need no way to the registry.",
        },
        "username": {"type": "str", "help": "Who the registry is asked as."},
        "password": {
            "type": "str",
            "no_log": True,
            "help": "That user's password. It goes through a pipe; it is in no file and no argument.",
        },
        "tls_ca": {
            "type": "path",
            "help": "A file with authorities to believe besides the system's, where the pull is.",
        },
        "insecure": {"type": "bool", "default": False, "help": "Do not ask the registry for TLS."},
        "relay": {
            "type": "bool",
            "default": False,
            "help": "Whether hosts give each other what the controller would send to each of them: one gets it"
            " from there and gives it to two others, and so on. They do so over TLS, each at the address at which the"
            " controller reaches it, or at `shepherd_relay_address`, a variable. Who cannot get it so gets it from the"
            " controller, and a warning says why. Less than 1 MiB comes from there anyway. Where targets pull or build,"
            " nothing is relayed.",
        },
        "keep": {
            "type": "int",
            "help": "How many images of this repository (the name without its tag) stay on the target, this one among"
            " them. Older ones that this module has brought, and that no container needs, are removed when this one is"
            " there. So on a build host. Default: all stay.",
        },
        "state": {
            "type": "str",
            "choices": ["absent", "present"],
            "default": "present",
            "help": "Whether the name shall be there. `absent` is refused while a container needs the image.",
        },
        "force": {
            "type": "bool",
            "default": False,
            "help": "With `pull`: ask the registry what the name means now. With `absent`: also where a container needs"
            " the image, which keeps its layers until that is gone.",
        },
    },
    "constraints": {
        "mutually_exclusive": [["archive", "build", "pull"], ["containerfile", "containerfile_content"]],
        "required_if": [["state", "present", ["archive", "build", "pull"], True]],
        "required_together": [["username", "password"]],
        "required_by": {"build_on": ["build"], "containerfile_content": ["build"], "build_secrets": ["build"]},
    },
    "identity": ["name"],
    "absent": {"state": "absent"},
    "returns": {
        "name": {"type": "str", "help": "The whole name.", "sample": "docker.io/library/shop:1.2"},
        "digest": {"type": "str", "help": "What it means.", "sample": "sha256:5d0ba4a2…"},
        "before": {"type": "str", "help": "What it meant, if it was there.", "sample": "sha256:88ed1c7b…"},
        "missing": {
            "type": "dict",
            "help": "In check mode: how many blobs would be sent, and how many bytes.",
            "sample": {"blobs": 2, "bytes": 4301},
        },
        "sent": {"type": "int", "help": "Bytes of blobs that the controller sent.", "sample": 4301},
        "relayed": {
            "type": "dict",
            "help": "With `relay`: the host that gave blobs, and how many bytes of them.",
            "sample": {"from": "web1", "bytes": 209719296},
        },
        "removed": {"type": "list", "help": "With `keep`: what went away.", "sample": ["docker.io/library/shop:1.0"]},
    },
    "check": "full",
    "diff": "full",
    "platforms": ["linux"],
    "since": "0.1",
    "examples": """
- name: An image that was saved on this machine
  container_image:
    name: "report:2"
    archive: report.tar

- name: An image out of a registry that wants a password
  container_image:
    name: "shop:1.2"
    pull: registry.example/team/shop:1.2
    username: deploy
    password: "{{ vaulted_password }}"

- name: An image that is made of a folder beside the playbook
  container_image:
    name: "shop:{{ version }}"
    build: ../shop
    build_args: {VERSION: "{{ version }}"}

- name: Built on a machine of the right kind; the last three stay on each host, to go back to
  container_image:
    name: "shop:{{ version }}"
    build: ../shop
    build_on: builder
    keep: 3

- name: To many hosts, of which one gets it from here
  container_image:
    name: "shop:{{ version }}"
    build: ../shop
    relay: true

- name: No longer
  container_image:
    name: "report:1"
    state: absent
""",
}

STORE = "/var/lib/shepherd"


def run(task):
    args = task.args
    if "_serve" in args:
        return _serving(task)
    if args["keep"] is not None and args["keep"] < 1:
        task.fail("keep: should be 1 or more, and this image is the first of them")
    runtime = installed.find(task)
    if runtime is None and not task.check:
        return installed.needed() if args["state"] == "present" else {"changed": False}
    if args.get("_build_only"):
        return _built_for_others(task, runtime)
    before = None if runtime is None else _meaning(task, runtime, args["name"])
    if args["state"] == "absent":
        return _absent(task, runtime, before)
    if args.get("_image") is not None:
        result = _received(task, runtime, before)
    elif args["pull"] is not None:
        result = _pulled(task, runtime, before)
    else:
        result = _built(task, runtime, before)
    if args["keep"] is not None and runtime is not None and "need" not in result:
        names = [args["name"]] + ([args["pull"]] if args["pull"] is not None else [])
        _failing(task, runtime, older_images.keep, task, runtime, result, names)
    return result


def _failing(task, runtime, function, *given):
    """What the runtime refuses is the task's failure."""
    try:
        return function(*given)
    except runtime.part("errors").RuntimeFailure as error:
        return task.fail(error.message + ("; " + error.hint if error.hint else ""))


def _meaning(task, runtime, name):
    """The digest that a name means here; None where there is no such name."""
    return _failing(task, runtime, runtime.meaning, name)


def _result(task, before, after, **more):
    result = dict(more, changed=before != after, name=task.args["name"], digest=after)
    if before is not None:
        result["before"] = before
    if task.diff and result["changed"]:
        sides = [{"image": task.args["name"], "digest": one or "absent"} for one in (before, after)]
        result["diff"] = {"before": sides[0], "after": sides[1]}
    return result


def _absent(task, runtime, before):
    if before is not None and not task.check:
        runtime.run(["rmi"] + (["--force"] if task.args["force"] else []) + ["--", task.args["name"]])
    return _result(task, before, None)


def _mark(runtime, store, name, descriptor):
    """Give the image its name, with a note that it is this module that did."""
    manifests = runtime.part("images.manifest")
    reference = runtime.part("images.reference").parse(name)
    notes = dict(descriptor.annotations, **{BROUGHT: str(reference)})
    marked = manifests.Descriptor(descriptor.media_type, descriptor.digest, descriptor.size, notes, descriptor.platform)
    runtime.part("images.names").Names(store).set(reference, marked)


def _mark_again(task, runtime, *names):
    """What one of the runtime's commands has named."""

    def mark():
        store = runtime.part("images.store").Store()
        found = runtime.part("images.names").Names(store).get(runtime.part("images.reference").parse(names[0]))
        for name in names:
            _mark(runtime, store, name, found)

    _failing(task, runtime, mark)


# From a registry


def _pulled(task, runtime, before):
    args = task.args
    if before is not None and not args["force"]:
        return _result(task, before, before)
    if task.check:  # what the registry would say is not asked for: another digest, perhaps
        return _result(task, before, before or "what %s means" % args["pull"])
    if args["pull_by"] == "controller":
        platform = runtime.part("images.manifest").Platform.of_this_machine()
        return {"changed": False, "need": "image", "platform": str(platform)}
    words, files = ["pull", "-q"], []
    if args["username"] is not None:
        words += ["--creds-file", "/dev/fd/%d" % installed.FILES]
        files = [("%s:%s" % (args["username"], args["password"])).encode("utf-8", "surrogateescape")]
    if args["tls_ca"] is not None:
        words += ["--tls-ca", args["tls_ca"]]
    if args["insecure"]:
        words += ["--insecure", args["pull"].partition("/")[0]]
    runtime.run(words + ["--", args["pull"]], files, "could not fetch %s: " % args["pull"])
    after = _meaning(task, runtime, args["pull"])
    _mark_again(task, runtime, args["pull"], args["name"])
    return _result(task, before, after)


# Of a folder, on this machine


def _built(task, runtime, before):
    """The folder is the upload, a tar. What was made once is not made again, so that the same digest comes of it."""
    if task.check:
        if before is not None:
            task.warn("whether %s would be another image is only known by building it" % task.args["name"])
        return _result(task, before, before or "what is built")
    _build(task, task.args["name"])
    _mark_again(task, runtime, task.args["name"])
    return _result(task, before, _meaning(task, runtime, task.args["name"]))


def _build(task, name):
    import tempfile

    from shepherd.remote import process

    words = [installed.LINK, "build", "-q", "-t", name] + task.args["_build"]
    with tempfile.TemporaryDirectory(dir="/run") as folder:  # in memory, and root's alone
        for option, beginning, content in task.args["_build_files"]:
            path = os.path.join(folder, str(len(words)))
            with open(path, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
                file.write(content)
            words += [option, beginning + path]
        done = process.run(words + ["-"], stdin=task.upload.read(), environment={"SOURCE_DATE_EPOCH": "1"})
    if done.status:
        task.fail("could not build %s: %s" % (task.args["name"], (done.stderr or done.stdout).strip()[-4000:]))


def _built_for_others(task, runtime):
    def build():
        wanted = runtime.part("images.reference").parse(task.args["name"])
        name = "shepherd.build/%s:%s" % (wanted.path, wanted.tag or "latest")
        _build(task, name)
        _mark_again(task, runtime, name)
        if task.args["keep"] is not None:
            older_images.keep(task, runtime, {"digest": runtime.meaning(name)}, [name])
        store = runtime.part("images.store").Store()
        image = runtime.part("images.image").find(store, name)
        parts = [image.descriptor, image.manifest_descriptor, image.manifest.config] + image.manifest.layers
        blobs = {str(one.digest): one.size for one in parts}
        told = {key: value for key, value in image.descriptor.as_json().items() if key != "annotations"}
        return {"descriptor": told, "blobs": sorted(blobs.items())}, store.root

    image, root = _failing(task, runtime, build)
    return {"changed": False, "store": root, "image": image}


# From the controller


def _received(task, runtime, before):
    image, wanted = task.args["_image"], task.args["_image"]["descriptor"]["digest"]
    if before == wanted:
        return _result(task, before, wanted)
    if runtime is None or (task.check and not os.path.isdir(os.path.join(STORE, "blobs"))):
        return _result(task, before, wanted, missing=delivery.counted(image["blobs"]))
    return _failing(task, runtime, _receive, task, runtime, before, image)


def _receive(task, runtime, before, image):
    digest = runtime.part("images.digest").Digest
    store, told = runtime.part("images.store").Store(), {}
    with store.lease() as lease:
        lease.add(*[one for one, _size in image["blobs"]])
        if task.args.get("_parts"):
            delivery.take(task, runtime, store, lease, dict(image["blobs"]))
        if task.args.get("_peer") is not None:
            told["fetched"], told["refused"] = delivery.fetch(task, runtime, store, lease, image["blobs"])
        missing = delivery.missing(runtime, store, image["blobs"])
        if task.check:
            return _result(task, before, image["descriptor"]["digest"], missing=delivery.counted(missing))
        if missing:
            begun = [[one, store.begun(digest(one))] for one, _size in missing]
            # what came must fit, and what is unpacked of it, which is as large at least
            room = 2 * sum(size for _one, size in missing) - sum(here for _one, here in begun)
            runtime.part("images.room").check(store.root, room, task.args["name"])
            return dict(told, changed=False, need="blobs", blobs=begun)
        if task.args.get("_whole"):
            return dict(told, changed=False, need="name")
        _name(task, runtime, store, lease, image["descriptor"])
    return _result(task, before, image["descriptor"]["digest"], **told)


def _serving(task):
    runtime = installed.find(task)
    if runtime is None:
        task.fail("the runtime is not there any more")
    return _failing(task, runtime, delivery.serve, task, runtime)


def _name(task, runtime, store, lease, found):
    """Unpack its layers, and give it its name: a name is of what can be started at once."""
    images, layers = runtime.part("images.image"), runtime.part("images.layers")
    descriptor = runtime.part("images.manifest").Descriptor.read(found, "the image")
    image = images.read(store, descriptor)
    lease.add(image.manifest_descriptor.digest)
    layers.ensure(image)
    _mark(runtime, store, task.args["name"], descriptor)
