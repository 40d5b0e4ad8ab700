"""Images of containers, brought to a machine without a registry, or by one.

What the action on the controller and this module say to each other: `_runtime` as in container_runtime. For `archive`
and what was built on the controller, `_image` is {"descriptor": as in an OCI index, "blobs": [[digest, size], …]}.
Where blobs are missing the answer is {"need": "blobs", "blobs": [[digest, offset], …]}: nothing has the image's name
yet. The action runs the module again with `_parts`, a list of [digest, offset, length], and their content, one after
the other, as upload, until the answer is the result. A blob that came in part is gone on with, in the next play too.
For what the target builds, the upload is the folder as a tar, and `_build` are words of the command.
"""

import os

from shepherd.remote import installed

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
        "containerfile": {"type": "str", "help": "Another file of that folder to build by."},
        "build_target": {"type": "str", "help": "The stage of that file to build. Default: the last."},
        "build_args": {"type": "dict", "default": {}, "help": "Values for its `ARG`s. They can be seen in the image."},
        "build_network": {
            "type": "bool",
            "default": False,
            "help": "Whether its `RUN` steps have the network of the machine that builds.",
        },
        "pull": {
            "type": "str",
            "help": "The target fetches this from a registry, such as `registry.example/shop:1.2` or"
            " `registry.example/shop@sha256:…`. It is asked again only with `force`.",
        },
        "username": {"type": "str", "help": "Who the registry is asked as."},
        "password": {
            "type": "str",
            "no_log": True,
            "help": "That user's password. It goes through a pipe; it is in no file and no argument.",
        },
        "tls_ca": {"type": "path", "help": "A file on the target with authorities to believe besides the system's."},
        "insecure": {"type": "bool", "default": False, "help": "Do not ask the registry for TLS."},
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
        "mutually_exclusive": [["archive", "build", "pull"]],
        "required_if": [["state", "present", ["archive", "build", "pull"], True]],
        "required_together": [["username", "password"]],
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
        "sent": {"type": "int", "help": "Bytes of blobs that were sent.", "sample": 4301},
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

- name: No longer
  container_image:
    name: "report:1"
    state: absent
""",
}

STORE = "/var/lib/shepherd"
CHUNK = 1 << 20  # bytes


def run(task):
    args = task.args
    runtime = installed.find(task)
    if runtime is None and not task.check:
        return installed.needed() if args["state"] == "present" else {"changed": False}
    before = None if runtime is None else _meaning(task, runtime, args["name"])
    if args["state"] == "absent":
        return _absent(task, runtime, before)
    if args["pull"] is not None:
        return _pulled(task, runtime, before)
    if args.get("_image") is None:
        return _built(task, runtime, before)
    return _received(task, runtime, before)


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


# From a registry


def _pulled(task, runtime, before):
    args = task.args
    if before is not None and not args["force"]:
        return _result(task, before, before)
    if task.check:  # what the registry would say is not asked for: another digest, perhaps
        return _result(task, before, before or "what %s means" % args["pull"])
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
    if _meaning(task, runtime, args["name"]) != after:
        runtime.run(["tag", "--", args["pull"], args["name"]])
    return _result(task, before, after)


# Of a folder, on this machine


def _built(task, runtime, before):
    """The folder is the upload, a tar. What was made once is not made again, so that the same digest comes of it."""
    if task.check:
        if before is not None:
            task.warn("whether %s would be another image is only known by building it" % task.args["name"])
        return _result(task, before, before or "what is built")
    from shepherd.remote import process

    words = [installed.LINK, "build", "-q", "-t", task.args["name"]] + task.args["_build"] + ["-"]
    done = process.run(words, stdin=task.upload.read(), environment={"SOURCE_DATE_EPOCH": "1"})
    if done.status:
        task.fail("could not build %s: %s" % (task.args["name"], (done.stderr or done.stdout).strip()[-4000:]))
    return _result(task, before, _meaning(task, runtime, task.args["name"]))


# From the controller


def _received(task, runtime, before):
    image, wanted = task.args["_image"], task.args["_image"]["descriptor"]["digest"]
    if before == wanted:
        return _result(task, before, wanted)
    if runtime is None or (task.check and not os.path.isdir(os.path.join(STORE, "blobs"))):
        return _result(task, before, wanted, missing=_counted(image["blobs"]))
    return _failing(task, runtime, _receive, task, runtime, before, image)


def _counted(blobs):
    return {"blobs": len(blobs), "bytes": sum(size for _digest, size in blobs)}


def _receive(task, runtime, before, image):
    digest = runtime.part("images.digest").Digest
    store = runtime.part("images.store").Store()
    with store.lease() as lease:
        lease.add(*[one for one, _size in image["blobs"]])
        if task.args.get("_parts"):
            _take(task, runtime, store, lease, dict(image["blobs"]))
        missing = [[one, size] for one, size in image["blobs"] if not store.has(digest(one))]
        if task.check:
            return _result(task, before, image["descriptor"]["digest"], missing=_counted(missing))
        if missing:
            begun = [[one, store.begun(digest(one))] for one, _size in missing]
            return {"changed": False, "need": "blobs", "blobs": begun}
        _name(task, runtime, store, lease, image["descriptor"])
    return _result(task, before, image["descriptor"]["digest"])


def _take(task, runtime, store, lease, sizes):
    """What came along: each part is the whole blob, or goes on where what is here of it ends."""
    stores, digests = runtime.part("images.store"), runtime.part("images.digest")
    for text, offset, length in task.args["_parts"]:
        ingest = stores.Ingest(store, digests.Digest(text), sizes[text])
        try:
            here = not ingest.present and ingest.offset == offset
            whole = here and length == sizes[text]
            if whole:
                ingest.start_again()
            while length:
                data = task.upload.read(min(length, CHUNK))
                if not data:
                    task.fail("the content of %s came cut short" % text)
                length -= len(data)
                if whole:
                    ingest.write(data)
                elif here:
                    ingest.append(data)
            if here and ingest.offset == sizes[text]:
                if not whole:
                    ingest.resume()
                ingest.commit(lease)
        finally:
            ingest.close()


def _name(task, runtime, store, lease, found):
    """Unpack its layers, and give it its name: a name is of what can be started at once."""
    images, layers = runtime.part("images.image"), runtime.part("images.layers")
    descriptor = runtime.part("images.manifest").Descriptor.read(found, "the image")
    image = images.read(store, descriptor)
    lease.add(image.manifest_descriptor.digest)
    layers.ensure(image)
    reference = runtime.part("images.reference").parse(task.args["name"])
    runtime.part("images.names").Names(store).set(reference, descriptor)
