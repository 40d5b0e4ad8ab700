"""A registry: what the distribution specification calls pull, with a password."""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
from typing import Any

import images

USER, PASSWORD = "deploy", "wool-and-bells-99"


class Registry(http.server.ThreadingHTTPServer):
    blobs: dict[str, bytes]
    tags: dict[str, str]
    asked: list[str]  # paths, of those who are let in


class Handler(http.server.BaseHTTPRequestHandler):
    server: Registry

    def do_GET(self) -> None:
        wanted = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if self.headers.get("Authorization") != wanted:
            self.answer(401, b"{}", [("WWW-Authenticate", 'Basic realm="test"')])
            return
        self.server.asked.append(self.path)
        kind, _, name = self.path.rpartition("/")
        digest = self.server.tags.get(name, name)
        content = self.server.blobs.get(digest)
        if content is None:
            self.answer(200 if self.path == "/v2/" else 404, b"{}")
            return
        form = (
            "application/vnd.oci.image.manifest.v1+json" if kind.endswith("manifests") else "application/octet-stream"
        )
        self.answer(200, content, [("Content-Type", form), ("Docker-Content-Digest", digest)])

    do_HEAD = do_GET  # noqa: N815

    def answer(self, status: int, content: bytes, headers: Any = ()) -> None:
        self.send_response(status)
        for name, value in [*headers, ("Content-Length", str(len(content)))]:
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


def publish(registry: Registry, tag: str, *layers: bytes) -> str:
    """Have the registry's tag mean an image of these layers."""

    def kept(content: bytes) -> dict[str, Any]:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        registry.blobs[digest] = content
        return {"digest": digest, "size": len(content)}

    form = "application/vnd.oci.image"
    described = [{**kept(one), "mediaType": f"{form}.layer.v1.tar"} for one in layers]
    settings = {"Cmd": ["/bin/sleep", "1000000"], "Env": ["PATH=/bin"]}
    rootfs = {"type": "layers", "diff_ids": [one["digest"] for one in described]}
    config = {"architecture": images.ARCHITECTURE, "os": "linux", "config": settings, "rootfs": rootfs}
    of_config = {**kept(json.dumps(config).encode()), "mediaType": f"{form}.config.v1+json"}
    manifest = {"schemaVersion": 2, "mediaType": f"{form}.manifest.v1+json", "config": of_config, "layers": described}
    registry.tags[tag] = str(kept(json.dumps(manifest).encode())["digest"])
    return registry.tags[tag]
