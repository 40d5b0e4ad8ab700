"""Small images for tests: busybox of this machine, as docker save and as other programs write archives."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from pathlib import Path

BUSYBOX = Path("/usr/bin/busybox")
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
PROGRAMS = ("sh", "sleep", "cat", "echo", "test", "wget", "httpd", "stat")


def layer(files: dict[str, tuple[bytes, int]], links: dict[str, str] | None = None) -> bytes:
    """A tar of files (content and mode) and symbolic links."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, (content, mode) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            archive.addfile(entry, io.BytesIO(content))
        for name, target in (links or {}).items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)
    return made.getvalue()


def base() -> bytes:
    """The layer that all of them have."""
    files = {"bin/busybox": (BUSYBOX.read_bytes(), 0o755), "etc/passwd": (b"app:x:1234:1234::/:/bin/sh\n", 0o644)}
    return layer(files, {f"bin/{name}": "busybox" for name in PROGRAMS})


def save(path: Path, *layers: bytes, name: str = "app:1", **settings: object) -> list[str]:
    """Write the docker-archive of an image; the digests of its layers."""
    digests = [hashlib.sha256(one).hexdigest() for one in layers]
    config = {
        "architecture": ARCHITECTURE,
        "os": "linux",
        "config": {"Cmd": ["/bin/sleep", "1000000"], "Env": ["PATH=/bin"], "StopSignal": "SIGKILL", **settings},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{one}" for one in digests]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": [f"{one}.tar" for one in digests]}]
    members = {f"{digest}.tar": one for digest, one in zip(digests, layers, strict=True)}
    members |= {"config.json": json.dumps(config).encode(), "manifest.json": json.dumps(manifest).encode()}
    beside = path.with_suffix(".part")
    with tarfile.open(beside, "w") as archive:
        for member, content in members.items():
            entry = tarfile.TarInfo(member)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    beside.rename(path)
    return [f"sha256:{one}" for one in digests]


# A small web application, with the Python of the machine that is mounted at /usr. It knows nothing of updates: it keeps
# connections, and has no handler for signals. As first process it is not ended by SIGTERM, and is killed in the end.
APPLICATION = b"""\
import http.server, os, sys, time

class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        well = not os.path.exists("/broken")
        self.answer(200 if well or self.path != "/healthz" else 503)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(0.005)
        self.answer(200)

    def answer(self, status):
        body = open("/version", "rb").read() + b"\\n" + b"y" * 5000
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass

print("version", open("/version").read(), "starts", flush=True)
http.server.ThreadingHTTPServer.daemon_threads = True
http.server.ThreadingHTTPServer.request_queue_size = 128
http.server.ThreadingHTTPServer(("", 8080), Page).serve_forever()
"""
PYTHON = "/usr:/usr:ro"  # the volume that the application needs


def web(path: Path, version: str, *, broken: bool = False, name: str = "web:1") -> list[str]:
    """Write the archive of the application; a broken one answers 503 when it is asked how it is."""
    links = {folder: f"usr/{folder}" for folder in ("lib", "lib64", "bin") if Path("/", folder).is_symlink()}
    files = {"app.py": (APPLICATION, 0o644), "etc/passwd": (b"app:x:1234:1234::/:/bin/sh\n", 0o644)}
    own = {"version": (version.encode(), 0o644)} | ({"broken": (b"", 0o644)} if broken else {})
    command = ["/usr/bin/python3", "-I", "-S", "/app.py"]
    settings = {"Cmd": command, "StopSignal": "SIGTERM", "Env": ["PATH=/usr/bin"]}
    return save(path, layer(files, links), layer(own), name=name, **settings)
