"""Registries that mean harm (row 40): what a client may send where, on two servers of the test's own."""

from __future__ import annotations

import gzip
import json
import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from image_maker import OCI, entry, layer, sha256

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images import collect, image, layers, removal
from shepherd.runtime.images.credentials import Credentials
from shepherd.runtime.images.names import Names
from shepherd.runtime.images.pull import pull
from shepherd.runtime.images.push import push
from shepherd.runtime.images.reference import parse
from shepherd.runtime.images.store import Store
from shepherd.runtime.images.transport import Settings
from tests import warm
from tests.patience import seconds

CHECKOUT = Path(__file__).parents[3]
SECRET = ("shepherd", "wool")


class Server:
    """Answers from `answers`: path → (status, headers, body) or a list of them, one after the other."""

    def __init__(self):
        self.answers: dict[str, object] = {}
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                length = int(self.headers.get("Content-Length") or 0)
                self.rfile.read(length)
                outer.asked.append((self.command, self.path, dict(self.headers)))
                found = outer.answers.get(self.path.partition("?")[0], (404, {}, b"{}"))
                if isinstance(found, list):
                    found = found.pop(0) if len(found) > 1 else found[0]
                status, headers, body = found
                self.send_response(status)
                if "Content-Length" not in headers:
                    self.send_header("Content-Length", str(len(body)))
                for key, value in headers.items():
                    self.send_header(key, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)
                if headers.get("Connection") == "close":
                    self.close_connection = True

            do_GET = do_HEAD = do_POST = do_PUT = answer  # noqa: N815  names of the standard library

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def secrets(self) -> list[str]:
        return [path for _, path, headers in self.asked if "Authorization" in headers]


@pytest.fixture
def servers():
    found = [Server(), Server()]
    yield found
    for one in found:
        one.close()


class Content:
    """An image as a registry has it."""

    def __init__(self, *layers: bytes, **changes: object):
        self.blobs = {}
        found = [self.described(gzip.compress(one, mtime=0), "layer.v1.tar+gzip") for one in layers]
        config = {
            "architecture": "amd64",
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [sha256(x) for x in layers]},
        }
        self.manifest = json.dumps({
            "schemaVersion": 2, "mediaType": OCI + "manifest.v1+json", "layers": found,
            "config": self.described(json.dumps(config).encode(), "config.v1+json"), **changes,
        }).encode()  # fmt: skip

    def described(self, data: bytes, kind: str) -> dict:
        self.blobs[sha256(data)] = data
        return {"mediaType": OCI + kind, "digest": sha256(data), "size": len(data)}

    def serve(self, server: Server, name: str = "app") -> None:
        answer = (200, {"Content-Type": OCI + "manifest.v1+json"}, self.manifest)
        server.answers[f"/v2/{name}/manifests/1"] = answer
        server.answers[f"/v2/{name}/manifests/{sha256(self.manifest)}"] = answer
        for digest, data in self.blobs.items():
            server.answers[f"/v2/{name}/blobs/{digest}"] = (200, {}, data)
        server.answers["/v2/"] = (200, {}, b"{}")


def settings(*hosts, **more):
    return Settings(insecure=hosts, delays=(0.01, 0.01), **more)


def fetched(store, server, configured, credentials=None):
    with store.lease() as lease:
        return pull(store, parse(f"{server.address}/app:1"), configured, lease, credentials)


def test_a_redirect_to_another_host_goes_without_credentials(servers, store):
    here, there = servers
    content = Content(layer(entry("f")))
    content.serve(here)
    challenge = (401, {"WWW-Authenticate": 'Basic realm="x"'}, b"{}")
    here.answers["/v2/app/manifests/1"] = [challenge, here.answers["/v2/app/manifests/1"]]
    digest = next(iter(content.blobs))
    here.answers[f"/v2/app/blobs/{digest}"] = (307, {"Location": f"http://{there.address}/elsewhere"}, b"")
    there.answers["/elsewhere"] = (200, {}, content.blobs[digest])
    fetched(store, here, settings(here.address, there.address), Credentials(given=SECRET))
    assert there.asked and there.secrets() == []
    assert f"/v2/app/blobs/{digest}" in here.secrets()


@pytest.mark.parametrize(
    "place", ["http://169.254.169.254/latest/meta-data", "https://169.254.169.254/", "http://[fe80::1]/", "file:///etc/shadow",
              "http://user@127.0.0.1/", "http://[", "http://x:99999999/", "//169.254.169.254/x", "http://[::ffff:169.254.169.254]/"]
)  # fmt: skip
def test_a_redirect_to_where_nobody_should_go(place, servers, store):
    here, _ = servers
    content = Content(layer(entry("f")))
    content.serve(here)
    digest = next(iter(content.blobs))
    here.answers[f"/v2/app/blobs/{digest}"] = (307, {"Location": place}, b"")
    allowed = [
        here.address,
        "169.254.169.254",
        "fe80::1",
        "127.0.0.1",
        "::ffff:169.254.169.254",
    ]  # even if it is allowed
    with pytest.raises(RuntimeFailure, match="sends us to"):
        fetched(store, here, settings(*allowed))
    assert Names(store).all() == []


def test_a_redirect_to_a_host_that_is_not_allowed_without_tls(servers, store):
    here, there = servers
    content = Content(layer(entry("f")))
    content.serve(here)
    digest = next(iter(content.blobs))
    here.answers[f"/v2/app/blobs/{digest}"] = (307, {"Location": f"http://{there.address}/x"}, b"")
    with pytest.raises(RuntimeFailure, match="has no TLS"):
        fetched(store, here, settings(here.address))
    assert there.asked == []


def test_redirects_without_end(servers, store):
    here, _ = servers
    here.answers["/v2/"] = (200, {}, b"{}")
    here.answers["/v2/app/manifests/1"] = (302, {"Location": "/v2/app/manifests/1"}, b"")
    with pytest.raises(RuntimeFailure, match="redirects too often"):
        fetched(store, here, settings(here.address))


def test_a_realm_on_another_host_is_not_told_the_password(servers, store):
    """127.0.0.2 is this machine too, and another host."""
    here, there = servers
    Content(layer(entry("f"))).serve(here)
    realm = f"http://localhost:{there.address.rpartition(':')[2]}/token"
    here.answers["/v2/app/manifests/1"] = (401, {"WWW-Authenticate": f'Bearer realm="{realm}",service="s"'}, b"{}")
    there.answers["/token"] = (200, {}, b'{"token": "t"}')
    allowed = [here.address, "localhost"]
    with pytest.raises(RuntimeFailure, match="wants its passwords sent to localhost") as caught:
        fetched(store, here, settings(*allowed), Credentials(given=SECRET))
    assert there.asked == [] and here.secrets() == [] and "--realm" in caught.value.hint


def test_a_realm_that_is_allowed(servers, store):
    here, there = servers
    content = Content(layer(entry("f")))
    content.serve(here)
    host = f"localhost:{there.address.rpartition(':')[2]}"
    challenge = (401, {"WWW-Authenticate": f'Bearer realm="http://{host}/token",service="s",scope="ignored"'}, b"{}")
    here.answers["/v2/app/manifests/1"] = [challenge, here.answers["/v2/app/manifests/1"]]
    there.answers["/token"] = (200, {}, b'{"access_token": "abc"}')
    allowed = settings(here.address, "localhost", realms={here.address: [host]})
    fetched(store, here, allowed, Credentials(given=SECRET))
    ((_, path, headers),) = there.asked
    assert (
        "scope=repository%3Aapp%3Apull" in path
        and "service=s" in path
        and headers["Authorization"].startswith("Basic ")
    )
    assert {headers["Authorization"] for _, _, headers in here.asked if "Authorization" in headers} == {"Bearer abc"}


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"token": 1}', b'{"token": "a\\r\\nX-Evil: 1"}', b"\xff", b"x" * 100000, b'{"token": ""}'],
)
def test_a_token_that_is_none(body, servers, store):
    here, _ = servers
    here.answers["/v2/"] = (200, {}, b"{}")
    challenge = f'Bearer realm="http://{here.address}/token"'
    here.answers["/v2/app/manifests/1"] = (401, {"WWW-Authenticate": challenge}, b"{}")
    here.answers["/token"] = (200, {}, body)
    with pytest.raises(RuntimeFailure):
        fetched(store, here, settings(here.address), Credentials(given=SECRET))


def test_a_tag_that_changes_between_two_requests(servers, store):
    """What a tag meant when it was first asked for is what comes; the index's images are asked for by digest."""
    here, _ = servers
    first, second = Content(layer(entry("first"))), Content(layer(entry("second")))
    for one in (first, second):
        one.serve(here)
    one = {"mediaType": OCI + "manifest.v1+json", "digest": sha256(first.manifest), "size": len(first.manifest),
           "platform": {"os": "linux", "architecture": "amd64"}}  # fmt: skip
    index = json.dumps({"schemaVersion": 2, "mediaType": OCI + "index.v1+json", "manifests": [one]}).encode()
    answers = [(200, {"Content-Type": OCI + "index.v1+json"}, index), (200, {}, second.manifest)]
    here.answers["/v2/app/manifests/1"] = answers
    assert fetched(store, here, settings(here.address)).digest == sha256(index)
    here.answers[f"/v2/app/manifests/{sha256(first.manifest)}"] = (200, {}, second.manifest)
    here.answers["/v2/app/manifests/1"] = (200, {"Content-Type": OCI + "index.v1+json"}, index)
    with pytest.raises(RuntimeFailure, match="another image"):
        fetched(store, here, settings(here.address))


def test_a_digest_that_is_not_the_manifests(servers, store):
    here, _ = servers
    content = Content(layer(entry("f")))
    content.serve(here)
    headers = {"Content-Type": OCI + "manifest.v1+json", "Docker-Content-Digest": "sha256:" + "0" * 64}
    here.answers["/v2/app/manifests/1"] = (200, headers, content.manifest)
    with pytest.raises(RuntimeFailure, match="another image"):
        fetched(store, here, settings(here.address))
    here.answers["/v2/app/manifests/1"] = (200, {**headers, "Docker-Content-Digest": "sha256:../x"}, content.manifest)
    with pytest.raises(RuntimeFailure, match="not a digest"):
        fetched(store, here, settings(here.address))


@pytest.mark.parametrize("kind", ["longer", "other", "shorter"])
def test_a_blob_that_is_not_what_was_asked_for(kind, servers, store):
    here, _ = servers
    content = Content(layer(entry("f", data=os.urandom(5000))))
    content.serve(here)
    digest, data = next(iter(content.blobs.items()))
    body = {"longer": data + b"x", "other": b"x" * len(data), "shorter": b""}[kind]
    here.answers[f"/v2/app/blobs/{digest}"] = (200, {}, body)
    with pytest.raises(RuntimeFailure, match=r"longer than|other content|cut short"):
        fetched(store, here, settings(here.address))
    assert Names(store).all() == [] and not store.has(content_digest(digest))


def content_digest(text):
    from shepherd.runtime.images.digest import Digest

    return Digest(text)


def test_a_connection_that_breaks_in_the_middle_goes_on(servers, store):
    here, _ = servers
    content = Content(layer(entry("f", data=os.urandom(5000))))
    content.serve(here)
    digest, data = next(iter(content.blobs.items()))
    cut = {"Content-Length": str(len(data)), "Connection": "close"}
    rest = {"Content-Range": f"bytes 1000-{len(data) - 1}/{len(data)}"}
    here.answers[f"/v2/app/blobs/{digest}"] = [(200, cut, data[:1000]), (503, {}, b""), (206, rest, data[1000:])]
    fetched(store, here, settings(here.address))
    ranges = [headers.get("Range") for _, path, headers in here.asked if path.endswith(digest)]
    assert ranges == [None, "bytes=1000-", "bytes=1000-"]


def test_another_part_than_was_asked_for(servers, store):
    here, _ = servers
    content = Content(layer(entry("f", data=os.urandom(5000))))
    content.serve(here)
    digest, data = next(iter(content.blobs.items()))
    cut = {"Content-Length": str(len(data)), "Connection": "close"}
    here.answers[f"/v2/app/blobs/{digest}"] = [(200, cut, data[:1000]), (206, {"Content-Range": "bytes 0-9/10"}, data)]
    with pytest.raises(RuntimeFailure, match="another part"):
        fetched(store, here, settings(here.address))


def test_a_foreign_layers_address_is_not_followed(servers, store):
    here, there = servers
    data = gzip.compress(layer(entry("f")), mtime=0)
    foreign = {"mediaType": OCI + "layer.nondistributable.v1.tar+gzip", "digest": sha256(data), "size": len(data),
               "urls": [f"http://{there.address}/layer"]}  # fmt: skip
    content = Content(layer(entry("f")), layers=[foreign])
    content.serve(here)
    del here.answers[f"/v2/app/blobs/{sha256(data)}"]
    with pytest.raises(RuntimeFailure, match="foreign layer") as caught:
        fetched(store, here, settings(here.address, there.address))
    assert there.asked == [] and "not followed" in caught.value.hint


def test_an_answer_without_end(servers, store):
    here, _ = servers
    Content(layer(entry("f"))).serve(here)
    here.answers["/v2/app/manifests/1"] = (200, {}, b" " * (5 << 20))
    with pytest.raises(RuntimeFailure, match="answers with more than"):
        fetched(store, here, settings(here.address))


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_passes_is_tried_again(status, servers, store):
    here, _ = servers
    content = Content(layer(entry("f")))
    content.serve(here)
    here.answers["/v2/app/manifests/1"] = [(status, {"Retry-After": "0"}, b""), here.answers["/v2/app/manifests/1"]]
    fetched(store, here, settings(here.address))
    here.answers["/v2/app/manifests/1"] = (
        status,
        {},
        b'{"errors": [{"code": "BUSY", "message": "come\\u001b[31m later"}]}',
    )
    with pytest.raises(RuntimeFailure, match=f"{status}.*come") as caught:
        fetched(store, here, settings(here.address))
    assert "\x1b" not in caught.value.message


def test_an_upload_sent_to_another_host_goes_without_credentials(servers, store):
    here, there = servers
    content = Content(layer(entry("f")))
    content.serve(here)
    descriptor = fetched(store, here, settings(here.address))
    here.answers.clear()
    here.answers["/v2/"] = (200, {}, b"{}")
    upload = "/v2/app/blobs/uploads/"
    challenge = (401, {"WWW-Authenticate": 'Basic realm="x"'}, b"{}")
    here.answers[upload] = [challenge, (202, {"Location": f"http://{there.address}/up"}, b"")]
    there.answers["/up"] = (201, {}, b"")
    here.answers["/v2/app/manifests/1"] = (201, {}, b"")
    here.answers[f"/v2/app/manifests/{descriptor.digest}"] = (201, {}, b"")
    configured = settings(here.address, there.address)
    push(store, descriptor, parse(f"{here.address}/app:1"), configured, Credentials(given=SECRET))
    assert len(there.asked) == 2 and there.secrets() == []
    with pytest.raises(RuntimeFailure, match="has no TLS"):
        push(store, descriptor, parse(f"{here.address}/app:1"), settings(here.address), Credentials(given=SECRET))


KILLED = """
import os, sys
sys.path.insert(0, sys.argv[1])
from shepherd.runtime.images import image, layers
from shepherd.runtime.images.pull import pull
from shepherd.runtime.images.reference import parse
from shepherd.runtime.images.store import Store
from shepherd.runtime.images.transport import Settings
left = int(sys.argv[4])
def watched(call):
    def wrapper(*words, **names):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), 9)
        return call(*words, **names)
    return wrapper
for name in ("rename", "mkdir", "open", "unlink", "fsync", "write", "rmdir", "fchmod"):
    setattr(os, name, watched(getattr(os, name)))
store = Store(sys.argv[2])
with store.lease() as lease:
    found = pull(store, parse(sys.argv[3] + "/app:1"), Settings(insecure=[sys.argv[3]], delays=()), lease)
    layers.ensure(image.read(store, found))
print(int(sys.argv[4]) - left)
"""


def test_a_pull_that_is_killed_at_any_step(servers, tmp_path):
    """What has a name is whole then; the next pull goes on, and a collection leaves nothing that nobody needs."""
    here, _ = servers
    content = Content(layer(entry("a", data=b"x" * 5000)), layer(entry("b")))
    content.serve(here)

    def attempt(store, step):
        words = [sys.executable, "-I", "-S", "-c", KILLED, str(CHECKOUT), store.root, here.address, str(step)]
        return warm.run(words, capture_output=True, text=True, timeout=seconds(60), check=False)

    total = int(attempt(Store(str(tmp_path / "whole")), 0).stdout)
    store = Store(str(tmp_path / "store"))
    for step in range(1, total, max(1, total // 8)):
        done = attempt(store, step)
        assert done.returncode in (-signal.SIGKILL, 0), done.stderr
        for _name, descriptor in Names(store).all():
            image.read(store, descriptor)
        if done.returncode:
            assert attempt(store, 0).returncode == 0
        first, second = layers.ensure(image.read(store, Names(store).all()[0][1]))
        assert (os.listdir(first), os.listdir(second)) == (["a"], ["b"])
        removal.remove(store, f"{here.address}/app:1")
        collect.collect(store, partial=True)
        for part in ("blobs/sha256", "layers", "staging", "leases"):
            assert os.listdir(store.path(part)) == [], (step, part)
