"""Volumes, binds, tmpfs; cp, diff, commit, export."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from containers import base
from image_maker import entry, folder, layer, symlink

from tests import warm

pytestmark = pytest.mark.lab


def test_a_volume_is_filled_once_and_outlives_its_containers(runtime):
    assert runtime.output("-v", "stuff:/data", "box:1", "cat", "/data/seed") == "seed\n"
    runtime.output(
        "-v", "stuff:/data", "box:1", "sh", "-c", "echo new > /data/seed; stat -c '%a %u %g' /data > /data/mode"
    )
    assert (
        runtime.output("-v", "stuff:/elsewhere:ro", "box:1", "cat", "/elsewhere/seed", "/elsewhere/mode")
        == "new\n750 7 8\n"
    )
    assert "read-only" in runtime.run("--rm", "-v", "stuff:/x:ro", "box:1", "touch", "/x/y").stderr.lower()
    assert runtime.output("-v", "bare:/data:nocopy", "box:1", "ls", "/data") == ""
    assert runtime.do("volume", "ls", "-q") == "bare\nstuff\n"
    about = json.loads(runtime.do("volume", "inspect", "stuff"))[0]
    assert Path(about["Mountpoint"], "seed").read_text() == "new\n"
    assert runtime.do("volume", "rm", "stuff", "bare") == "stuff\nbare\n"
    assert runtime.do("volume", "ls", "-q") == ""


def test_volume_verbs(runtime):
    assert runtime.do("volume", "create", "--label", "a=b", "named") == "named\n"
    assert runtime.do("volume", "create", "named") == "named\n"
    anonymous = runtime.do("volume", "create").strip()
    runtime.start("one", "-v", "named:/a", "-v", "/b", "box:1", "sleep", "100")
    assert "is in use by" in runtime.call("volume", "rm", "named").stderr
    assert runtime.do("volume", "ls", "-q", "-f", "dangling=true").split() == [anonymous]
    assert runtime.do("volume", "ls", "-q", "-f", "label=a=b").split() == ["named"]
    assert runtime.do("volume", "prune", "-f").split() == [anonymous]
    assert len(runtime.do("volume", "ls", "-q").split()) == 2
    runtime.do("rm", "-fv", "one")
    assert runtime.do("volume", "ls", "-q") == "named\n"  # a named one stays
    runtime.do("volume", "prune", "-af")
    assert runtime.do("volume", "ls", "-q") == ""
    for name in ("../x", "a/b", "-f", "", "a" * 300, ".x", "a\nb", "x"):
        assert runtime.call("volume", "create", name).returncode == 1, name


def test_anonymous_volumes_go_with_rm(runtime):
    runtime.image("vol:1", [layer(*base())], Cmd=["cat", "/data/seed"], Volumes={"/data": {}})
    assert runtime.do("run", "--rm", "--network", "none", "vol:1") == "seed\n"
    assert runtime.do("volume", "ls", "-q") == ""


def test_binds(runtime, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_text("text")
    assert runtime.output("-v", f"{source}:/in", "box:1", "sh", "-c", "cat /in/file; echo more > /in/new") == "text"
    assert (source / "new").read_text() == "more\n"
    assert runtime.output("-v", f"{source}/file:/one", "box:1", "cat", "/one") == "text"
    assert runtime.run("--rm", "-v", f"{source}:/in:ro", "box:1", "touch", "/in/x").returncode == 1
    assert runtime.output("--mount", f"type=bind,src={source},dst=/in,ro", "box:1", "cat", "/in/file") == "text"
    runtime.output("-v", f"{tmp_path}/made:/in", "box:1", "touch", "/in/x")
    assert (tmp_path / "made" / "x").exists()
    (tmp_path / "above" / "source").mkdir(parents=True)
    nested = ["-v", f"{source}:/in/source", "-v", f"{tmp_path}/above:/in:ro"]  # whatever the order
    runtime.output(*nested, "box:1", "touch", "/in/source/nested")
    assert (source / "nested").exists()


def test_mount_syntax(runtime):
    runtime.output("-v", "sub:/v", "box:1", "sh", "-c", "mkdir -p /v/a/b; echo inner > /v/a/b/file")
    words = ["--mount", "type=volume,source=sub,target=/m,volume-subpath=a/b"]
    assert runtime.output(*words, "box:1", "sh", "-c", "cat /m/file; ls /m") == "inner\nfile\n"
    assert (
        runtime.output("--mount", "type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=700", "box:1", "stat", "-c", "%a", "/t")
        == "700\n"
    )
    for text, said in (
        ("type=magic,dst=/x", "there are the types"),
        ("type=volume,source=/abs,dst=/x", "is a path"),
        ("type=bind,dst=/x", "should say source="),
        ("source=x", "should say destination="),
        ("type=tmpfs,dst=/x,colour=red", "there is no 'colour'"),
        ("type=volume,source=sub,dst=/", "nothing can be mounted at /"),
    ):
        assert said in runtime.run("--mount", text, "box:1", "true").stderr, text


def test_diff(runtime):
    script = "echo x > /new; rm /data/seed; mkdir -p /d/e; chmod 600 /etc/group; rm -r /bin/yes; mkdir /bin/yes"
    runtime.run("--name", "one", "-v", "vv:/mounted/here", "box:1", "sh", "-c", script)
    assert runtime.do("diff", "one").splitlines() == [
        "C /bin",
        "C /bin/yes",
        "A /d",
        "A /d/e",
        "C /data",
        "D /data/seed",
        "C /etc",
        "C /etc/group",
        "A /new",
    ]
    runtime.run("--name", "two", "box:1", "true")
    assert runtime.do("diff", "two") == ""


def test_commit_and_export(runtime):
    runtime.run("--name", "one", "-e", "X=1", "box:1", "sh", "-c", "echo kept > /kept; rm /data/seed")
    identity = runtime.do(
        "commit", "-m", "said", "-a", "me", "-c", 'CMD ["cat", "/kept"]', "-c", "ENV Y=2", "one", "made:1"
    ).strip()
    assert identity.startswith("sha256:")
    assert runtime.output("made:1") == "kept\n"
    assert runtime.output("made:1", "sh", "-c", "echo $X$Y; ls /data; cat /proc/1/mounts | grep -c hosts") == "12\n1\n"
    about = json.loads(runtime.do("image", "inspect", "made:1"))[0]
    assert about["Author"] == "me" and len(about["RootFS"]["Layers"]) == 2
    for name in ("one",):
        data = warm.run(runtime.argv("export", name), env=runtime.environment, capture_output=True, check=True).stdout
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            names = tar.getnames()
            assert "./kept" in names or "kept" in names
            assert not any(one.endswith("data/seed") for one in names)
    assert runtime.do("rm", "one")
    runtime.do("commit", runtime.start("two", "box:1", "sleep", "9"), "made:2")
    assert runtime.status("two") == "running"  # paused meanwhile, and going on


def test_cp(runtime, tmp_path):
    runtime.start("one", "-v", "vv:/vol", "box:1", "sleep", "1000")
    source = tmp_path / "tree"
    (source / "inner").mkdir(parents=True)
    (source / "inner" / "file").write_text("text")
    (source / "link").symlink_to("inner/file")
    (source / "script").write_text("#!/bin/sh\n")
    (source / "script").chmod(0o751)
    runtime.do("cp", str(source), "one:/new")  # it is not there: the name
    assert (
        runtime.do("exec", "one", "sh", "-c", "cat /new/link; stat -c %a /new/script; readlink /new/link")
        == "text751\ninner/file\n"
    )
    runtime.do("cp", str(source), "one:/vol")  # it is there: into it
    assert runtime.do("exec", "one", "cat", "/vol/tree/inner/file") == "text"
    runtime.do("cp", f"{source}/.", "one:/tmp")  # what is in it
    assert runtime.do("exec", "one", "cat", "/tmp/inner/file") == "text"
    runtime.do("cp", "one:/vol/tree", str(tmp_path / "out"))
    assert (tmp_path / "out/inner/file").read_text() == "text" and os.readlink(tmp_path / "out/link") == "inner/file"
    (tmp_path / "into").mkdir()
    runtime.do("cp", "one:/vol/tree", str(tmp_path / "into"))
    assert (tmp_path / "into/tree/link").is_symlink()
    runtime.do("cp", "one:/vol/tree/script", str(tmp_path / "renamed"))
    assert (tmp_path / "renamed").stat().st_mode & 0o777 == 0o751
    runtime.do("cp", "-L", "one:/vol/tree/link", str(tmp_path / "followed"))
    assert (tmp_path / "followed").read_text() == "text" and not (tmp_path / "followed").is_symlink()
    data = warm.run(
        runtime.argv("cp", "one:/vol/tree", "-"), env=runtime.environment, capture_output=True, check=True
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert {one.rstrip("/") for one in tar.getnames()} >= {"tree", "tree/inner/file"}
    warm.run(runtime.argv("cp", "-", "one:/tmp"), env=runtime.environment, input=data, check=True)
    assert runtime.do("exec", "one", "cat", "/tmp/tree/inner/file") == "text"
    runtime.do("stop", "-t", "0", "one")
    runtime.do("cp", "one:/vol/tree/inner", str(tmp_path / "stopped"))  # volumes are there, too
    assert (tmp_path / "stopped/file").read_text() == "text"
    runtime.do("cp", str(source / "script"), "one:/late")
    runtime.do("start", "one")
    assert runtime.do("exec", "one", "cat", "/late") == "#!/bin/sh\n"
    for words, said in (
        (["one:/nosuch", "/tmp/x"], "No such file"),
        (["/nosuch", "one:/tmp"], "No such file"),
        (["/tmp", "/tmp"], "one of the two"),
        ([str(source), "one:/bin/busybox/x"], "Not a directory"),
        (["one:/new/script/", str(tmp_path)], "no folder"),
    ):
        assert said in runtime.call("cp", *words).stderr, words


def test_images_that_say_how_to_run(runtime):
    """Entry point and command, user, folder, stop signal and volumes of the image."""
    runtime.image(
        "app:1",
        [layer(*base(), folder("srv"))],
        Entrypoint=["echo", "entry"],
        Cmd=["command"],
        User="user:extra",
        WorkingDir="/srv",
        StopSignal="SIGINT",
        ExposedPorts={"80/tcp": {}},
    )
    assert runtime.output("app:1") == "entry command\n"
    assert runtime.output("app:1", "other") == "entry other\n"
    assert runtime.output("--entrypoint", "pwd", "app:1") == "/srv\n" if "pwd" in str(base) else True
    assert runtime.output("--entrypoint", "id", "app:1") == "uid=1000(user) gid=2000(extra) groups=2000(extra)\n"
    runtime.do("create", "--network", "none", "--name", "one", "--expose", "90/udp", "app:1")
    about = runtime.inspect("one")["Config"]
    assert about["StopSignal"] == "SIGINT" and sorted(about["ExposedPorts"]) == ["80/tcp", "90/udp"]
    runtime.image("none:1", [layer(*base())])
    assert "says no command to run" in runtime.run("none:1").stderr


def test_an_image_in_use_stays(runtime):
    runtime.do("create", "--network", "none", "--name", "one", "box:1", "true")
    assert "needed by the container" in runtime.call("rmi", "box:1").stderr
    runtime.do("rmi", "-f", "box:1")
    runtime.do("prune", "-af")
    assert runtime.call("start", "-a", "one").returncode == 0
    runtime.do("rm", "one")


def test_links_of_an_image_lead_inside(runtime):
    runtime.image("linked:1", [layer(*base(), symlink("abs", "/etc"), entry("etc/inside", data=b"yes\n"))], Cmd=["sh"])
    runtime.do("create", "--network", "none", "--name", "one", "linked:1")
    assert (
        subprocess.run(
            runtime.argv("cp", "one:/abs/inside", "-"), env=runtime.environment, capture_output=True
        ).returncode
        == 0
    )


def test_copies_have_the_attributes_of_files(runtime, tmp_path):
    """User attributes always; what a program may do goes into volumes, and by cp with -a, as setuid bits do."""
    capable = bytes.fromhex("0100000200040000000000000000000000000000")  # cap_net_bind_service=ep (VFS_CAP_REVISION_2)
    source = tmp_path / "server"
    source.write_bytes(b"program")
    os.utime(source, ns=(10**18, 10**18))
    os.setxattr(source, "user.note", b"kept")
    os.setxattr(source, "security.capability", capable)
    runtime.do("create", "--network", "none", "--name", "maker", "box:1", "true")
    runtime.do("cp", "-a", str(source), "maker:/data/server")
    runtime.do("cp", str(source), "maker:/data/plain")
    runtime.do("commit", "maker", "made:1")
    runtime.output("-v", "filled:/data", "made:1", "true")
    data = Path(json.loads(runtime.do("volume", "inspect", "filled"))[0]["Mountpoint"])
    assert os.getxattr(data / "server", "security.capability") == capable
    assert (data / "server").stat().st_mtime_ns == 10**18
    assert os.listxattr(data / "plain") == ["user.note"]
    for words, names in (([], ["user.note"]), (["-a"], ["security.capability", "user.note"])):
        runtime.do("cp", *words, "maker:/data/server", str(tmp_path / "out"))
        assert sorted(os.listxattr(tmp_path / "out")) == names
        assert os.getxattr(tmp_path / "out", "user.note") == b"kept"
