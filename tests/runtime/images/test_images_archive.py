"""Archives: what skopeo and umoci write is read, and ours by them."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from image_maker import Layout, entry, folder, layer, sha256, symlink, tree
from registries import needs

from shepherd.runtime.cli import main
from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images import archive, export, image, layers
from shepherd.runtime.images.names import Names
from shepherd.runtime.images.store import Store

LAYERS = [layer(folder("d"), entry("d/a", data=b"a" * 5000)), layer(entry("d/.wh.a"), entry("b", data=b"b"))]


@pytest.fixture
def layout(tmp_path) -> Layout:
    made = Layout(tmp_path / "layout")
    made.name(made.image(LAYERS), "app:1.2")
    return made


def load(store, source, name=None):
    with store.lease() as lease:
        found = archive.load(store, source, lease, name)
        return [(name, layers.ensure(image.read(store, one))) for name, one in found]


@pytest.mark.parametrize("way", ["oci-archive", "docker-archive", "oci", "dir.gz", "dir.zst", "pipe"])
def test_what_skopeo_writes(way, layout, store, tmp_path):
    needs("skopeo", "zstd")
    form = way if "archive" in way or way == "oci" else "oci-archive"
    place = tmp_path / "x.tar"
    subprocess.run(["skopeo", "copy", "-q", f"oci:{layout.path}:app:1.2", f"{form}:{place}:app:1.2"], check=True)
    source: object = str(place)
    if way == "dir.gz":
        source = str(tmp_path / "x.tar.gz")
        Path(source).write_bytes(gzip.compress(place.read_bytes()))
    elif way == "dir.zst":
        subprocess.run(["zstd", "-q", place, "-o", f"{place}.zst"], check=True)
        source = f"{place}.zst"
    elif way == "pipe":
        with subprocess.Popen(["cat", place], stdout=subprocess.PIPE) as child:
            ((name, (first, second)),) = load(store, child.stdout)
    if way != "pipe":
        ((name, (first, second)),) = load(store, source)
    assert name.familiar == "app:1.2"
    assert Path(first, "d/a").read_bytes() == b"a" * 5000 and Path(second, "b").read_bytes() == b"b"
    assert Path(first).name == sha256(LAYERS[0])[7:]


@pytest.mark.parametrize(
    ("form", "reader"),
    [("both", "oci-archive"), ("both", "docker-archive"), ("oci", "oci-archive"), ("docker", "docker-archive")],
)
def test_what_skopeo_reads(form, reader, layout, store, tmp_path):
    needs("skopeo", "umoci")
    load(store, str(layout.path))
    found = image.find(store, "app:1.2")
    with (tmp_path / "x.tar").open("wb") as file:
        export.save(store, [(Names(store).all()[0][0], found)], file, form)
    name = ":app:1.2" if reader == "docker-archive" else ""
    words = ["skopeo", "copy", "-q", f"{reader}:{tmp_path}/x.tar{name}", f"oci:{tmp_path}/theirs:x"]
    subprocess.run(words, check=True)
    subprocess.run(["umoci", "unpack", "--image", f"{tmp_path}/theirs:x", tmp_path / "bundle"], check=True)
    (tmp_path / "flat").mkdir()
    layers.flatten(found, str(tmp_path / "flat"))
    assert tree(tmp_path / "bundle/rootfs") == tree(tmp_path / "flat")


def test_ours_again(layout, store, tmp_path):
    """Saved and loaded: the same digests; saved again: the same bytes."""
    load(store, str(layout.path))
    saved = []
    for number, place in enumerate((store, Store(str(tmp_path / "other")))):
        if number:
            load(place, str(tmp_path / "0.tar"))
        found = image.find(place, "app:1.2")
        with (tmp_path / f"{number}.tar").open("wb") as file:
            export.save(place, [(Names(place).all()[0][0], found)], file)
        saved.append((found.descriptor.digest, (tmp_path / f"{number}.tar").read_bytes()))
    assert saved[0] == saved[1]
    with (tmp_path / "docker.tar").open("wb") as file:
        export.save(store, [(Names(store).all()[0][0], image.find(store, "app:1.2"))], file, "docker")
    third = Store(str(tmp_path / "third"))
    assert load(third, str(tmp_path / "docker.tar"))[0][0].familiar == "app:1.2"
    export.save_folder(store, [(None, image.find(store, "app:1.2"))], str(tmp_path / "dir"))
    assert load(Store(str(tmp_path / "fourth")), str(tmp_path / "dir"))[0][0] is None


def docker_archive(path: Path, *, links: bool = False, config: dict | None = None, **changes: object) -> None:
    """As old versions of `docker save` write it."""
    found = {
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [sha256(x) for x in LAYERS]},
    }
    data = json.dumps(config or found).encode()
    listed = {
        "Config": sha256(data)[7:] + ".json",
        "RepoTags": ["old:1", "old:2"],
        "Layers": ["x/layer.tar", "y/layer.tar"],
    }
    listed.update(changes)
    members = [
        entry(listed["Config"], data=data),
        folder("x"),
        entry("x/VERSION", data=b"1.0"),
        entry("x/layer.tar", data=LAYERS[0]),
    ]
    members += [entry("y/layer.tar", data=LAYERS[1])]
    if links:
        members += [symlink("z/layer.tar", "../x/layer.tar")]
    members += [entry("manifest.json", data=json.dumps([listed]).encode()), entry("repositories", data=b"{}")]
    path.write_bytes(layer(*members))


def test_an_old_docker_archive(store, tmp_path):
    docker_archive(tmp_path / "old.tar")
    found = load(store, str(tmp_path / "old.tar"))
    assert [name.familiar for name, _ in found] == ["old:1", "old:2"] and len(found[0][1]) == 2
    with tarfile.open(tmp_path / "old.tar") as tar:
        tar.extractall(tmp_path / "folder")  # noqa: S202  made above
    assert [name.familiar for name, _ in load(Store(str(tmp_path / "other")), str(tmp_path / "folder"))] == [
        "old:1",
        "old:2",
    ]


def test_an_old_docker_archive_whose_layers_are_links(store, tmp_path):
    same = {"architecture": "amd64", "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [sha256(LAYERS[0]), sha256(LAYERS[0])]}}  # fmt: skip
    docker_archive(tmp_path / "old.tar", links=True, config=same, Layers=["x/layer.tar", "z/layer.tar"])
    ((_, paths), _) = load(store, str(tmp_path / "old.tar"))
    assert paths[0] == paths[1]


@pytest.mark.parametrize(
    "changes",
    [{"Config": "../../etc/passwd"}, {"Config": 1}, {"Layers": ["x/layer.tar"]}, {"Layers": "x"},
     {"Layers": ["x", "y"]}, {"RepoTags": ["Bad"]}, {"RepoTags": "old:1"}, {"Layers": ["y/layer.tar", "x/layer.tar"]},
     {"Layers": ["blobs/sha256/../../x", "y/layer.tar"]}],
)  # fmt: skip
def test_a_docker_archive_that_is_none(changes, store, tmp_path, canary):
    config = changes.pop("Config", None)
    docker_archive(tmp_path / "old.tar", **changes)
    if config is not None:
        text = (tmp_path / "old.tar").read_bytes()
        with tarfile.open(fileobj=io.BytesIO(text)) as tar:
            listed = json.loads(tar.extractfile("manifest.json").read())
        listed[0]["Config"] = config
        (tmp_path / "old.tar").write_bytes(layer(entry("manifest.json", data=json.dumps(listed).encode())))
    with pytest.raises(RuntimeFailure):
        load(store, str(tmp_path / "old.tar"))
    assert Names(store).all() == []


@pytest.mark.parametrize("how", ["empty", "text", "other", "cut", "gzip cut", "absent", "zstd"])
def test_what_is_no_archive(how, layout, store, tmp_path):
    path = tmp_path / "x"
    whole = layer(*[entry(str(one.relative_to(layout.path)), data=one.read_bytes())
                    for one in sorted(layout.path.rglob("*")) if one.is_file()])  # fmt: skip
    contents = {"empty": b"", "text": b"hello" * 500, "other": LAYERS[0], "cut": whole[:2000],
                "gzip cut": gzip.compress(whole)[:-20], "zstd": b"\x28\xb5\x2f\xfdjunk"}  # fmt: skip
    if how in contents:
        path.write_bytes(contents[how])
    with pytest.raises(RuntimeFailure):
        load(store, str(path))
    assert Names(store).all() == [] and os.listdir(store.path("layers")) == []


def test_an_archive_that_lacks_a_blob(layout, store):
    for one in (layout.path / "blobs/sha256").iterdir():
        data = one.read_bytes()
        one.unlink()
        with pytest.raises(RuntimeFailure, match="lacks"):
            load(Store(store.root + one.name[:5]), str(layout.path))
        one.write_bytes(data)


def test_zstd_layers(layout, store, tmp_path):
    needs("zstd")
    packed = subprocess.run(["zstd", "-qc"], input=LAYERS[0], capture_output=True, check=True).stdout
    config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [sha256(LAYERS[0])]}}
    manifest = {
        "schemaVersion": 2,
        "config": layout.described(json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json"),
        "layers": [layout.described(packed, "application/vnd.oci.image.layer.v1.tar+zstd")],
    }
    layout.manifests.clear()
    layout.name(layout.described(json.dumps(manifest).encode(), "application/vnd.oci.image.manifest.v1+json"), "zstd:1")
    ((_, (path,)),) = load(store, str(layout.path))
    assert Path(path, "d/a").stat().st_size == 5000


def test_zstd_that_nothing_here_can_read(store, tmp_path, monkeypatch):
    (tmp_path / "x.tar.zst").write_bytes(b"\x28\xb5\x2f\xfdjunk")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(__import__("sys").modules, "compression", None)
    with pytest.raises(RuntimeFailure, match="zstd") as caught:
        load(store, str(tmp_path / "x.tar.zst"))
    assert "install the program zstd" in caught.value.hint


def test_the_verbs(layout, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("SHEPHERD_RUNTIME_ROOT", str(tmp_path / "root"))

    def said(*words, code=0):
        assert main(list(words)) == code, capfd.readouterr()
        out, err = capfd.readouterr()
        return err if code else out

    assert said("image", "import", str(layout.path)) == "Loaded image: app:1.2\n"
    assert said("load", "-q", "-i", str(layout.path)).startswith("sha256:")
    assert said("tag", "app:1.2", "registry.example:5000/team/app") == ""
    rows = said("images").splitlines()
    assert rows[0].split()[:3] == ["REPOSITORY", "TAG", "IMAGE"]
    assert sorted(row.split()[:2] for row in rows[1:]) == [["app", "1.2"], ["registry.example:5000/team/app", "latest"]]
    assert json.loads(said("images", "app", "--format", "json"))["Tag"] == "1.2"
    identity = said("images", "-q", "app:1.2").strip()
    (described,) = json.loads(said("image", "inspect", identity))
    assert described["RepoTags"] == ["app:1.2", "registry.example:5000/team/app:latest"]
    assert described["RootFS"]["Layers"] == [sha256(one) for one in LAYERS]
    assert said("image", "inspect", "-f", "{{.Os}}/{{.Architecture}} {{json .RepoTags}}", "app:1.2").startswith(
        "linux/amd64 ["
    )
    assert len(said("history", "app:1.2").splitlines()) == 3
    for suffix in ("tar", "tar.gz", "tar.zst"):
        said("save", "-o", str(tmp_path / f"saved.{suffix}"), "app:1.2")
        assert said("load", "-i", str(tmp_path / f"saved.{suffix}")) == "Loaded image: app:1.2\n"
    assert "is needed" not in said("rmi", "app:1.2")
    assert "Deleted: sha256:" in said("rmi", identity)
    assert said("images", "-q") == ""
    assert said("prune", "-f") == "Total reclaimed space: 0B\n"
    for words in (["rmi", "absent"], ["tag", "absent", "x"], ["tag", "x", "A"], ["save", "absent"], ["nonsense"], [],
                  ["image"], ["image", "x"], ["history", "../x"], ["load", "-i", "/absent"], ["--root"]):  # fmt: skip
        error = said(*words, code=1)
        assert error.startswith("shepherd-runtime: ") and "Traceback" not in error


def test_labels_do_not_reach_the_terminal(tmp_path, monkeypatch, capfd):
    layout = Layout(tmp_path / "layout")
    layout.name(layout.image(LAYERS, history=[{"created_by": "\x1b]0;owned\x07", "comment": "\u202e"}, {}]), "app:1")
    monkeypatch.setenv("SHEPHERD_RUNTIME_ROOT", str(tmp_path / "root"))
    assert main(["load", "-i", str(layout.path)]) == 0
    assert main(["history", "app:1"]) == 0
    assert "\x1b" not in capfd.readouterr().out
