"""Pull and push with a real registry, and what other clients put there or find there."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from image_maker import Layout, entry, folder, layer, tree
from registries import PASSWORD, USER, Certificates, Registry, needs

from shepherd.runtime.cli import main
from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images import archive, image, layers
from shepherd.runtime.images.credentials import Credentials
from shepherd.runtime.images.manifest import Platform
from shepherd.runtime.images.names import Names
from shepherd.runtime.images.pull import Report, pull
from shepherd.runtime.images.push import push
from shepherd.runtime.images.reference import parse
from shepherd.runtime.images.store import Store
from shepherd.runtime.images.transport import Settings

LAYERS = [
    layer(folder("etc"), entry("etc/name", data=b"base")),
    layer(entry("etc/.wh.name"), entry("big", data=os.urandom(300000))),
]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def registry(tmp_path_factory, certificates):
    """With TLS and a password."""
    with Registry(tmp_path_factory.mktemp("registry") / "one", certificates, password=True) as running:
        yield running


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """With neither."""
    with Registry(tmp_path_factory.mktemp("registry") / "plain") as running:
        yield running


class Told(Report):
    def __init__(self):
        self.blobs: dict[str, str] = {}

    def blob(self, digest, status):
        self.blobs[digest] = status


def known() -> Credentials:
    return Credentials(given=(USER, PASSWORD))


def settings(**more) -> Settings:
    return Settings(delays=(0.01,), **more)


def imported(store, tmp_path, name: str):
    layout = Layout(tmp_path / f"layout{len(os.listdir(tmp_path))}")
    layout.name(layout.image(LAYERS), name)
    with store.lease() as lease:
        return archive.load(store, str(layout.path), lease)[0][1]


def test_what_is_pushed_is_pulled(registry, certificates, store, tmp_path):
    name = parse(f"{registry.address}/team/app:1.2")
    descriptor = imported(store, tmp_path, str(name))
    told = Told()
    push(store, descriptor, name, settings(ca=str(certificates.ca)), known(), report=told)
    assert set(told.blobs.values()) == {"pushed"} and len(told.blobs) == 3
    other, told = Store(str(tmp_path / "other")), Told()
    with other.lease() as lease:
        pulled = pull(other, name, settings(ca=str(certificates.ca)), lease, known(), report=told)
        first, second = (Path(path) for path in layers.ensure(image.read(other, pulled)))
    assert pulled.digest == descriptor.digest and set(told.blobs.values()) == {"pulled"}
    assert (first / "etc/name").read_bytes() == b"base" and (second / "big").stat().st_size == 300000
    told = Told()
    push(store, descriptor, name, settings(ca=str(certificates.ca)), known(), report=told)
    assert set(told.blobs.values()) == {"present"}


def test_a_blob_is_mounted_from_another_repository(registry, certificates, store, tmp_path):
    first, second = (parse(f"{registry.address}/team/{name}:1") for name in ("first", "second"))
    descriptor = imported(store, tmp_path, str(first))
    push(store, descriptor, first, settings(ca=str(certificates.ca)), known())
    Names(store).set(second, descriptor)
    told = Told()
    push(store, descriptor, second, settings(ca=str(certificates.ca)), known(), report=told)
    assert set(told.blobs.values()) == {"mounted"}


@pytest.mark.parametrize("given", [None, (USER, "wrong"), ("nobody", PASSWORD)])
def test_who_is_not_let_in(given, registry, certificates, store):
    credentials = Credentials(given=given) if given else None
    name = parse(f"{registry.address}/team/app:1.2")
    with store.lease() as lease, pytest.raises(RuntimeFailure, match="does not let us in") as caught:
        pull(store, name, settings(ca=str(certificates.ca)), lease, credentials)
    assert "--auth-file" in caught.value.hint and PASSWORD not in str(caught.value)


def test_an_authority_that_is_not_believed(registry, store):
    name = parse(f"{registry.address}/team/app:1.2")
    with store.lease() as lease, pytest.raises(RuntimeFailure, match=r"TLS connection to .* fails") as caught:
        pull(store, name, settings(), lease, known())
    assert "--tls-ca" in caught.value.hint


def test_no_tls_is_refused_and_allowed(plain, store, tmp_path):
    name = parse(f"{plain.address}/app:1")
    descriptor = imported(store, tmp_path, str(name))
    with pytest.raises(RuntimeFailure, match="TLS"):
        push(store, descriptor, name, settings())
    push(store, descriptor, name, settings(insecure=[plain.address]))
    other = Store(str(tmp_path / "other"))
    with other.lease() as lease:
        assert pull(other, name, settings(insecure=["127.0.0.1"]), lease).digest == descriptor.digest


def test_an_absent_image_and_an_absent_host(plain, store):
    with store.lease() as lease:
        with pytest.raises(RuntimeFailure, match="has not the image absent:1 "):
            pull(store, parse(f"{plain.address}/absent:1"), settings(insecure=[plain.address]), lease)
        with pytest.raises(RuntimeFailure, match=r"cannot reach 127.0.0.1:1: .*refused"):
            pull(store, parse("127.0.0.1:1/absent:1"), settings(), lease)


def test_a_mirror_is_asked_first_and_may_lack_it(plain, store, tmp_path):
    name = parse(f"{plain.address}/library/mirrored:1")
    push(store, imported(store, tmp_path, "mirrored:1"), name, settings(insecure=[plain.address]))
    other = Store(str(tmp_path / "other"))
    mirrors = {"docker.io": ["http://127.0.0.1:1", f"http://{plain.address}"]}
    wanted = parse("mirrored:1")
    with other.lease() as lease:
        pull(other, wanted, settings(insecure=[plain.address], mirrors=mirrors), lease)
        assert Names(other).get(wanted) is not None
        mirrors = {plain.address: ["http://127.0.0.1:1"]}
        pull(other, name, settings(insecure=[plain.address], mirrors=mirrors), lease)


def test_an_index_of_platforms(plain, store, tmp_path):
    layout = Layout(tmp_path / "layout")
    found = []
    for architecture, variant in (("amd64", ""), ("arm64", "v8"), ("arm", "v6"), ("arm", "v7")):
        one = layout.image([layer(entry(architecture + variant))], architecture=architecture, variant=variant)
        found.append({**one, "platform": {"os": "linux", "architecture": architecture, "variant": variant}})
    layout.name(layout.index(found), "many:1")
    name = parse(f"{plain.address}/many:1")
    allowed = settings(insecure=[plain.address])
    with store.lease() as lease:
        descriptor = archive.load(store, str(layout.path), lease)[0][1]
    push(store, descriptor, name, allowed)
    for wanted, has in (("linux/amd64", "amd64"), ("linux/arm64", "arm64v8"), ("linux/arm/v7", "armv7"),
                        ("linux/arm/v6", "armv6")):  # fmt: skip
        other = Store(str(tmp_path / has))
        with other.lease() as lease:
            platform = Platform.parse(wanted)
            pulled = pull(other, name, allowed, lease, platform=platform)
            assert pulled.digest == descriptor.digest
            (path,) = layers.ensure(image.read(other, pulled, platform))
        assert os.listdir(path) == [has]
        assert len(os.listdir(other.path("blobs/sha256"))) == 4  # the index, and of one platform all
    with store.lease() as lease, pytest.raises(RuntimeFailure, match="not there for linux/riscv64") as caught:
        pull(store, name, allowed, lease, platform=Platform.parse("linux/riscv64"))
    assert caught.value.hint == "it is for: linux/amd64, linux/arm, linux/arm/v6, linux/arm64"
    # one platform's part can be pushed on, though the index is not whole here
    push(other, pulled, parse(f"{plain.address}/part:1"), allowed, platform=Platform.parse("linux/arm/v6"))


def test_a_pull_that_was_interrupted_goes_on(plain, store, tmp_path):
    name = parse(f"{plain.address}/resumed:1")
    allowed = settings(insecure=[plain.address])
    descriptor = imported(store, tmp_path, str(name))
    push(store, descriptor, name, allowed)
    big = image.read(store, descriptor).manifest.layers[1]
    other, told = Store(str(tmp_path / "other")), Told()
    with store.open(big.digest) as blob:
        begun = blob.read(100000)
    Path(other.path("staging", "blob-" + big.digest.replace(":", "-"))).write_bytes(begun)
    with other.lease() as lease:
        pull(other, name, allowed, lease, report=told)
    assert told.blobs[big.digest] == "resumed" and other.size(big.digest) == big.size
    log = plain.log.read_text()
    assert f"blobs/{big.digest}" in log and f"http.response.written={big.size - 100000}" in log


def test_what_was_begun_wrongly_is_begun_again(plain, store, tmp_path):
    name = parse(f"{plain.address}/wrong:1")
    allowed = settings(insecure=[plain.address])
    descriptor = imported(store, tmp_path, str(name))
    push(store, descriptor, name, allowed)
    big = image.read(store, descriptor).manifest.layers[1]
    other = Store(str(tmp_path / "other"))
    Path(other.path("staging", "blob-" + big.digest.replace(":", "-"))).write_bytes(b"x" * 1000)
    with other.lease() as lease:
        with pytest.raises(RuntimeFailure, match="other content"):
            pull(other, name, allowed, lease)
        pull(other, name, allowed, lease)


def test_with_skopeo_and_umoci(registry, certificates, store, tmp_path):
    """Ours read by skopeo and umoci, skopeo's read by us: the same digests and the same files."""
    needs("skopeo", "umoci")
    name = parse(f"{registry.address}/team/theirs:1")
    descriptor = imported(store, tmp_path, str(name))
    push(store, descriptor, name, settings(ca=str(certificates.ca)), known())
    auth = tmp_path / "auth.json"
    secret = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    auth.write_text(json.dumps({"auths": {registry.address: {"auth": secret}}}))
    options = ["--authfile", str(auth)]
    certs = tmp_path / "certs"
    certs.mkdir()
    (certs / "ca.crt").write_text(certificates.ca.read_text())
    subprocess.run(
        ["skopeo", "copy", "-q", "--src-cert-dir", certs, *options, f"docker://{name}", f"oci:{tmp_path}/theirs:x"],
        check=True,
    )
    subprocess.run(["umoci", "unpack", "--image", f"{tmp_path}/theirs:x", tmp_path / "bundle"], check=True)
    found = image.read(store, descriptor)
    (tmp_path / "flat").mkdir()
    layers.flatten(found, str(tmp_path / "flat"))
    theirs, ours = tree(tmp_path / "bundle/rootfs"), tree(tmp_path / "flat")
    assert theirs == ours
    subprocess.run(
        ["skopeo", "copy", "-q", "--format", "v2s2", "--dest-cert-dir", certs, *options, f"oci:{tmp_path}/theirs:x",
         f"docker://{registry.address}/team/back:2"], check=True,
    )  # fmt: skip
    other = Store(str(tmp_path / "other"))
    with other.lease() as lease:
        back = parse(f"{registry.address}/team/back:2")
        pulled = pull(other, back, settings(ca=str(certificates.ca)), lease, Credentials(str(auth)))
        assert image.read(other, pulled).config.diff_ids == found.config.diff_ids
        assert "docker" in pulled.media_type
        assert len(layers.ensure(image.read(other, pulled))) == 2


def test_the_command_line(registry, certificates, tmp_path, monkeypatch, capfd):
    """The password comes by standard input or a file, and is in no argument."""
    monkeypatch.setenv("SHEPHERD_RUNTIME_ROOT", str(tmp_path / "root"))
    layout = Layout(tmp_path / "layout")
    layout.name(layout.image(LAYERS), "app:1")
    address = f"{registry.address}/cli/app:1"
    assert main(["image", "import", str(layout.path)]) == 0
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{USER}:{PASSWORD}\n"))
    assert main(["push", "app:1", address, "--tls-ca", str(certificates.ca), "--creds-file", "-"]) == 0
    assert main(["rmi", "app:1"]) == 0
    (tmp_path / "creds").write_text(f"{USER}:{PASSWORD}\n")
    assert main(["pull", address, "--tls-ca", str(certificates.ca), "--creds-file", str(tmp_path / "creds")]) == 0
    capfd.readouterr()
    assert main(["images", "--format", "{{.Repository}} {{.Tag}}"]) == 0
    assert capfd.readouterr().out == f"{registry.address}/cli/app 1\n"
    assert main(["pull", address, "--creds-file", str(tmp_path / "creds")]) == 1
    assert "TLS connection" in capfd.readouterr().err
