"""Blobs of an image on their way into this machine's store, from the controller or from another machine, and out of it
to other machines that the same play brings the image to.
"""

import os

CHUNK = 1 << 20  # bytes


def counted(blobs):
    """How much [[digest, size], …] is."""
    return {"blobs": len(blobs), "bytes": sum(size for _digest, size in blobs)}


def missing(runtime, store, blobs):
    """Those that are not in the store."""
    digest = runtime.part("images.digest").Digest
    return [[one, size] for one, size in blobs if not store.has(digest(one))]


def take(task, runtime, store, lease, sizes):
    """What came along: each part is the whole blob, or goes on where what is here of it ends.

    Where that was here before (`_begun`) and the whole is not what it should be, none of it is kept.
    """
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
                _commit(task, runtime, ingest, lease)
        finally:
            ingest.close()


def _commit(task, runtime, ingest, lease):
    try:
        ingest.commit(lease)
    except runtime.part("errors").RuntimeFailure:
        if str(ingest.digest) not in task.args.get("_begun", ()):
            raise


def fetch(task, runtime, store, lease, blobs):
    """Get what is missing from another machine, `_peer`: {"url", "certificate" (PEM), "token"}.

    Returns (how many bytes came, what went wrong or None): what did not come is for the controller to send.
    """
    digest, peer, why = runtime.part("images.digest").Digest, task.args["_peer"], None
    wanted = missing(runtime, store, blobs)

    def here():
        return sum(size if store.has(digest(one)) else store.begun(digest(one)) for one, size in wanted)

    before = here()
    try:
        reference = runtime.part("images.reference").parse(task.args["name"])
        peers = _peers(runtime)
        peers.fetch_all(store, reference, wanted, lease, peer["url"], peer["certificate"], peer["token"])
    except runtime.part("errors").RuntimeFailure as error:
        why = error.message
    except ImportError as error:
        why = _without(error)
    return max(0, here() - before), why


def serve(task, runtime):
    """Give blobs to other machines until this process is ended: by the controller, or with its link.

    `_serve` is {"address", "key", "certificate" (PEM), "token", "blobs": [[digest, size], …]}. When it is ready it
    prints its port, a line.
    """
    given = task.args["_serve"]
    store = runtime.part("images.store").Store()
    with store.lease() as lease:
        lease.add(*[one for one, _size in given["blobs"]])
        if missing(runtime, store, given["blobs"]):
            task.fail("the image is not there any more")
        try:
            server = _peers(runtime).Server(
                store,
                [one for one, _size in given["blobs"]],
                given["address"],
                given["key"],
                given["certificate"],
                given["token"],
            )
        except ImportError as error:
            task.fail(_without(error))
        try:
            os.write(1, b"%d\n" % server.port)
            server.serve_forever(poll_interval=60)  # seconds; nobody asks it to end, and a signal does not wait
        finally:
            server.server_close()


def _peers(runtime):
    return runtime.part("images.peer")


def _without(error):
    return "Python has no TLS there (%s)" % error
