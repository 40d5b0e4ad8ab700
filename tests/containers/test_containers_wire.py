"""What goes over the connection: one round trip where nothing differs, layers that are missing, each of them once."""

from __future__ import annotations

import os
import re
import subprocess
import time
from typing import Any

import images
import pytest

from tests.patience import seconds

pytestmark = pytest.mark.lab(hosts=2)

ONE = "web1"
LARGE = 40 << 20  # bytes of a layer that needs several requests
PATIENCE = seconds(30)  # seconds until what must happen has happened


def frames(site: Any, tasks: list[dict[str, Any]]) -> list[tuple[str, int]]:
    """(module, bytes of its upload) of each request of a play, counted by the link itself."""
    log = site.folder / "frames.log"
    log.unlink(missing_ok=True)
    (site.folder / "sitecustomize.py").write_text(_COUNTING)
    environment = {**site.environment, "PYTHONPATH": str(site.folder), "FRAMES": str(log)}
    done = subprocess.run(
        site.command(tasks, "-l", ONE), cwd=site.folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = (line.split() for line in log.read_text().splitlines())
    return [(name.rpartition(".")[2], int(size)) for name, size in found]


# Wraps the one function through which every request to a module goes
_COUNTING = """\
import os
from shepherd.link import Link
run = Link.run
async def counted(self, module, args, **options):
    upload = options.get("upload")
    size = sum(part[2] for part in args.get("_parts", ()))
    if isinstance(upload, bytes):
        size = len(upload)
    with open(os.environ["FRAMES"], "a") as file:
        file.write("%s %d\\n" % (module.name, size))
    return await run(self, module, args, **options)
Link.run = counted
"""


def shop(**options: Any) -> dict[str, Any]:
    return {"container": {"name": "shop", "image": "app:1", "stop_timeout": 1, "settle": 0, **options}}


def test_a_converged_task_is_one_round_trip(site, app):
    tasks = [
        {"container_runtime": {}},
        app,
        {"container_network": {"name": "front"}},
        {"container_volume": {"name": "data"}},
        shop(networks=["front"], secrets={"key": "geheim"}),
    ]
    site.good(tasks, host=ONE)
    names = [next(iter(task)) for task in tasks]
    assert frames(site, tasks) == [(name, 0) for name in names]


def test_layers_that_are_there_are_not_sent(site):
    base, large = images.base(), images.layer({"large": (os.urandom(LARGE), 0o644)})
    small = [images.layer({"version": (b"%d" % number, 0o644)}) for number in (1, 2)]
    tasks = [{"container_image": {"name": "app:1", "archive": "app.tar"}}]
    images.save(site.folder / "app.tar", base, large, small[0])
    site.good([{"container_runtime": {}}], host=ONE)
    first = frames(site, tasks)
    assert sum(size for _name, size in first) > len(base) + len(large)
    assert max(size for _name, size in first) <= 16 << 20
    images.save(site.folder / "app.tar", base, large, small[1])
    said = site.good(tasks, "--check", host=ONE).result("container_image")
    second = frames(site, tasks)
    sent = sum(size for _name, size in second)
    assert len(small[1]) < sent < len(small[1]) + 4096  # the layer, a configuration and a manifest
    assert said["missing"] == {"blobs": 3, "bytes": sent}


def test_an_archive_is_read_once_for_all_hosts_and_plays(site, app):
    site.good([{"container_runtime": {}}])
    log = site.folder / "opened.log"
    (site.folder / "sitecustomize.py").write_text(
        "import os, sys\n"
        "def seen(event, arguments):\n"
        "    if event == 'open' and str(arguments[0]).endswith('/app.tar'):\n"
        "        descriptor = os.open(os.environ['OPENED'], os.O_WRONLY | os.O_CREAT | os.O_APPEND)\n"
        "        os.write(descriptor, b'opened\\n')\n"
        "        os.close(descriptor)\n"
        "sys.addaudithook(seen)\n"
    )
    environment = {**site.environment, "PYTHONPATH": str(site.folder), "OPENED": str(log)}
    for _play in range(2):
        done = subprocess.run(site.command([app]), cwd=site.folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
    assert log.read_text() == "opened\n"
    for host in site.hosts:
        assert "app" in site.runtime("images", host=host)


def test_a_blob_is_read_once_for_all_hosts(wide_site):
    """Opened and mapped once, whatever the number of hosts: the kernel reads it once, and nobody copies it whole."""
    site = wide_site
    layers = images.save(site.folder / "app.tar", images.base(), images.layer({"large": (os.urandom(LARGE), 0o644)}))
    task = {"container_image": {"name": "app:1", "archive": "app.tar"}}
    site.good([{"container_runtime": {}}])
    site.good([task], "--check")  # the archive is read
    log = site.folder / "opened.log"
    (site.folder / "sitecustomize.py").write_text(
        "import os, sys\n"
        "def seen(event, arguments):\n"
        "    if event == 'open' and '/images/blobs/' in str(arguments[0]):\n"
        "        descriptor = os.open(os.environ['OPENED'], os.O_WRONLY | os.O_CREAT | os.O_APPEND)\n"
        "        os.write(descriptor, os.path.basename(arguments[0]).encode() + b'\\n')\n"
        "        os.close(descriptor)\n"
        "sys.addaudithook(seen)\n"
    )
    environment = {**site.environment, "PYTHONPATH": str(site.folder), "OPENED": str(log)}
    done = subprocess.run(site.command([task]), cwd=site.folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    opened = log.read_text().split()
    assert len(opened) == len(set(opened)) == 4  # two layers, a configuration, a manifest
    assert {f"sha256:{one}" for one in opened} >= set(layers)
    for host in site.hosts:
        assert site.runtime("run", "--rm", "app:1", "stat", "-c", "%s", "/large", host=host) == f"{LARGE}\n"


def test_a_broken_connection_costs_a_piece_and_the_next_play_converges(site):
    images.save(site.folder / "app.tar", images.base(), images.layer({"large": (os.urandom(LARGE), 0o644)}))
    task = {"container_image": {"name": "app:1", "archive": "app.tar"}}
    site.good([{"container_runtime": {}}], host=ONE)
    process = subprocess.Popen(
        site.command([task], "-l", ONE),
        cwd=site.folder,
        env=site.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        begun = _wait_for(lambda: _begun(site), process)
    finally:
        process.kill()
        process.wait()
    assert 0 < begun < LARGE
    assert "app" not in site.runtime("images")
    kept = _begun(site)
    done = site.good([task], host=ONE).result("container_image")
    assert done["sent"] <= LARGE + 10240 - kept + len(images.base()) + 8192
    assert site.good([task], host=ONE).changed == set()
    assert site.runtime("run", "--rm", "app:1", "stat", "-c", "%s", "/large") == f"{LARGE}\n"


def _begun(site: Any) -> int:
    """Bytes of blobs that are on the host in part."""
    said = site.host.exec(["sh", "-c", "stat -c %s /var/lib/shepherd/staging/blob-* 2>/dev/null; true"]).stdout
    return max([int(word) for word in said.split()], default=0)


def _wait_for(look: Any, process: subprocess.Popen[bytes]) -> int:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = look()
        if found:
            return int(found)
        assert process.poll() is None, "the play was quicker than we could look"
    raise AssertionError("nothing arrived")


def test_the_runtime_is_replaced_under_running_containers(site, app):
    site.good([app, shop()], host=ONE)
    link = "/usr/local/bin/shepherd-runtime"
    home = re.sub(r"/shepherd-runtime$", "", site.host.exec(["readlink", "-f", link]).stdout.strip())
    older = home.replace("runtime-", "runtime-0123")
    site.host.exec(["cp", "-a", home, older])
    site.host.exec(["ln", "-sfn", f"{older}/shepherd-runtime", link])
    pid = site.runtime("inspect", "--format", "{{.State.Pid}}", "shop")
    said = site.good([{"container_runtime": {}}], "--check", host=ONE)
    done = site.good([{"container_info": {}}, shop(), {"container_runtime": {}}], host=ONE)
    assert said.changed == {"container_runtime"}
    assert done.result("container_info")["containers"][0]["name"] == "shop"
    assert done.result("container_info")["version"] == re.sub(r".*runtime-(\w+)-.*", r"\1", older)
    assert done.changed == set()  # the first task saw to it
    assert site.host.exec(["readlink", "-f", link]).stdout.strip() == f"{home}/shepherd-runtime"
    assert site.runtime("inspect", "--format", "{{.State.Pid}}", "shop") == pid


def test_a_user_that_is_not_root_is_told_so(site):
    played = site.play([{"container_runtime": {}, "become": True, "become_user": "deploy"}], host=ONE)
    assert "become: true" in played.result("container_runtime")["msg"]


@pytest.mark.parametrize("seen", ["shop.next", "shop.old"])
def test_a_play_killed_while_it_replaces_leaves_something_that_the_next_one_converges(site, app, seen):
    site.good([app, shop()], host=ONE)
    changed = shop(env={"A": "2"})
    process = subprocess.Popen(
        site.command([changed], "-l", ONE),
        cwd=site.folder,
        env=site.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        script = f"while ! test -L /var/lib/shepherd/containers/names/{seen}; do test -d /proc/1 || exit; done"
        site.host.exec(["timeout", str(PATIENCE), "sh", "-c", script], check=False)
    finally:
        process.kill()
        process.wait()
    site.good([changed], host=ONE)
    assert site.good([changed], host=ONE).changed == set()
    left = sorted(site.runtime("ps", "-a", "--format", "{{.Names}} {{.State}}").splitlines())
    assert left == ["shop running", "shop.previous created"]
    assert site.runtime("exec", "shop", "sh", "-c", "echo $A") == "2\n"
    assert site.runtime("ps", "-aq").count("\n") == 2
