"""Blobs from one store to another, on whatever Python runs this: peer_program.py CHECKOUT, and JSON on standard input.

{"serve": folder, …} prints its port and serves; {"fetch": folder, …} prints "fine", or why not and how much came.
Standard library alone and no pytest, since the oldest Pythons of targets have none.
"""

import json
import sys

sys.path.insert(0, sys.argv[1])
from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images import peer
from shepherd.runtime.images.digest import Digest
from shepherd.runtime.images.reference import parse
from shepherd.runtime.images.store import Store

given = json.loads(sys.stdin.readline())
if "serve" in given:
    digests = [digest for digest, _size in given["blobs"]]
    store = Store(given["serve"])
    server = peer.Server(store, digests, "127.0.0.1", given["key"], given["certificate"], given["token"])
    print(server.port, flush=True)
    server.serve_forever()
store = Store(given["fetch"])
try:
    with store.lease() as lease:
        blobs, url = given["blobs"], f"https://127.0.0.1:{given['port']}"
        peer.fetch_all(store, parse("app:1"), blobs, lease, url, given["certificate"], given["token"])
    print("fine")
except RuntimeFailure as error:
    print(error.message, [store.begun(Digest(digest)) for digest, _size in given["blobs"]])
