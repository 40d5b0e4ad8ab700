"""Manifests, indexes and configurations: what is read, and what is refused (row 39)."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_maker import Layout, entry, layer

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images import archive, documents, manifest
from shepherd.runtime.images.manifest import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, Platform

ONE = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": "sha256:" + "0" * 64, "size": 2}
IMAGE = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": ONE, "layers": []}
INDEX = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}

REFUSED = {
    "both": {**IMAGE, "manifests": []},
    "index with layers": {**INDEX, "layers": []},
    "index with config": {**INDEX, "config": ONE},
    "index called image": {**INDEX, "mediaType": OCI_MANIFEST},
    "image called index": {**IMAGE, "mediaType": OCI_INDEX},
    "schema 1": {"schemaVersion": 1, "fsLayers": []},
    "no schema": {"config": ONE, "layers": []},
    "media type is a number": {**IMAGE, "mediaType": 2},
    "no config": {**IMAGE, "config": None},
    "no layers": {"schemaVersion": 2, "config": ONE},
    "layers are an object": {**IMAGE, "layers": {}},
    "many layers": {**IMAGE, "layers": [ONE] * 501},
    "negative size": {**IMAGE, "config": {**ONE, "size": -1}},
    "size is true": {**IMAGE, "config": {**ONE, "size": True}},
    "digest leads out": {**IMAGE, "config": {**ONE, "digest": "sha256:../../etc/passwd"}},
    "urls are text": {**IMAGE, "layers": [{**ONE, "urls": "http://x"}]},
    "annotations are a list": {**IMAGE, "annotations": []},
    "platform is text": {**INDEX, "manifests": [{**ONE, "platform": "linux"}]},
    "unknown": {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v9+json",
        "config": ONE,
        "layers": [],
    },
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name):
    with pytest.raises(RuntimeFailure):
        manifest.read(json.dumps(REFUSED[name]).encode())


def test_what_is_called_something_else():
    assert manifest.read(json.dumps(IMAGE).encode(), OCI_MANIFEST).media_type == OCI_MANIFEST
    for called in (DOCKER_MANIFEST, OCI_INDEX, "text/plain"):
        with pytest.raises(RuntimeFailure, match="called"):
            manifest.read(json.dumps(IMAGE).encode(), called)
    nameless = {key: value for key, value in IMAGE.items() if key != "mediaType"}
    assert manifest.read(json.dumps(nameless).encode(), DOCKER_MANIFEST).media_type == DOCKER_MANIFEST


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b'{"a": 1, "a": 2}', "twice"),
        (b'{"a": {"b": 1, "b": 1}}', "twice"),
        (b'{"a": "\xff"}', "UTF-8"),
        (b'\xef\xbb\xbf{"a": 1}', "not JSON"),
        (b'{"a": NaN}', "NaN"),
        (b"[]", "not a JSON object"),
        (b"", "not JSON"),
        (b"[" * 100000, "deeply"),
        (b'{"a":' * 40 + b"1" + b"}" * 40, "deeply"),
        (b'{"a": "' + b"x" * (4 << 20) + b'"}', "larger than"),
    ],
)
def test_documents_that_readers_differ_on(data, said):
    with pytest.raises(RuntimeFailure, match=said):
        documents.read(data, "it")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10) | st.floats() | st.just(ONE),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(list(ONE)) | st.text(max_size=5), inner)
    ),
    max_leaves=8,
)
KEYS = st.sampled_from(
    ["schemaVersion", "mediaType", "config", "layers", "manifests", "annotations", "rootfs", "history"]
)


@settings(deadline=None)
@given(st.dictionaries(KEYS, VALUES), st.sampled_from([IMAGE, INDEX, {}]))
def test_any_document_is_read_or_refused(changes, base):
    data = json.dumps({**base, **changes}).encode()
    for reader in (manifest.read, manifest.read_any_config):
        try:
            reader(data)
        except RuntimeFailure:
            continue


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data):
    with pytest.raises(RuntimeFailure):
        manifest.read(data)


def test_an_index_of_indexes_without_end(store, tmp_path):
    layout = Layout(tmp_path / "layout")
    descriptor = layout.image([layer(entry("f"))])
    for _ in range(1000):
        descriptor = layout.index([descriptor])
    layout.name(descriptor, "deep:1")
    with store.lease() as lease, pytest.raises(RuntimeFailure, match="indexes of indexes"):
        archive.load(store, str(layout.path), lease)


@pytest.mark.parametrize(
    ("machine", "there", "chosen"),
    [
        ("linux/amd64", ["linux/arm64", "linux/amd64"], 1),
        ("linux/arm/v7", ["linux/arm/v5", "linux/arm/v6"], 1),
        ("linux/arm/v7", ["linux/arm/v8", "linux/arm"], 1),
        ("linux/arm64", ["linux/arm/v7", "linux/arm64/v8"], 1),
        ("linux/amd64", ["windows/amd64", "linux/amd64", "linux/amd64"], 1),
        ("linux/arm/v6", ["linux/arm/v7"], None),
        ("linux/amd64", [], None),
    ],
)
def test_which_platform_is_chosen(machine, there, chosen):
    found = []
    for number, text in enumerate(there):
        parts = dict(zip(("os", "architecture", "variant"), text.split("/"), strict=False))
        found.append({**ONE, "mediaType": OCI_MANIFEST, "size": number, "platform": parts})
    index = manifest.read(json.dumps({**INDEX, "manifests": found}).encode())
    if chosen is None:
        with pytest.raises(RuntimeFailure, match="not there for"):
            index.choose(Platform.parse(machine))
    else:
        assert index.choose(Platform.parse(machine)).size == chosen
