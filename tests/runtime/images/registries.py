"""Debian's docker-registry on loopback, with TLS by an authority of the test's own and with passwords."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.patience import seconds

if TYPE_CHECKING:
    from pathlib import Path

USER, PASSWORD = "shepherd", "wool-and-bells"


def needs(*programs: str) -> None:
    missing = [one for one in programs if shutil.which(one) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Certificates:
    """An authority, and a certificate of it for 127.0.0.1 and localhost."""

    def __init__(self, folder: Path):
        needs("openssl")
        self.ca, self.key, self.certificate = folder / "ca.crt", folder / "key.pem", folder / "cert.pem"
        run = lambda *words: subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)  # noqa: E731
        kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        run("req", "-x509", *kind, "-keyout", folder / "ca.key", "-out", self.ca, "-subj", "/CN=authority", "-days", 9,
            "-addext", "keyUsage=critical,keyCertSign,cRLSign")  # fmt: skip
        run("req", *kind, "-keyout", self.key, "-out", folder / "request", "-subj", "/CN=localhost")
        (folder / "names").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth\n")
        run("x509", "-req", "-in", folder / "request", "-CA", self.ca, "-CAkey", folder / "ca.key", "-CAcreateserial",
            "-out", self.certificate, "-days", 9, "-extfile", folder / "names")  # fmt: skip


class Registry:
    """`address` is HOST:PORT. As a context: it runs."""

    def __init__(self, folder: Path, certificates: Certificates | None = None, password: bool = False):
        needs("docker-registry", *(["htpasswd"] if password else []))
        folder.mkdir()
        self.folder = folder
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.log = folder / "log"
        text = f"""
version: 0.1
log: {{level: info}}
storage: {{filesystem: {{rootdirectory: {folder}/data}}, delete: {{enabled: true}}}}
http:
  addr: {self.address}
"""
        if certificates is not None:
            text += f"  tls: {{certificate: {certificates.certificate}, key: {certificates.key}}}\n"
        if password:
            made = subprocess.run(
                ["htpasswd", "-Bbn", USER, PASSWORD], check=True, capture_output=True, text=True
            ).stdout  # fmt: skip
            (folder / "htpasswd").write_text(made)
            text += f"auth: {{htpasswd: {{realm: test, path: {folder}/htpasswd}}}}\n"
        (folder / "config.yml").write_text(text)

    def __enter__(self) -> Registry:
        with self.log.open("wb") as log:
            self._child = subprocess.Popen(
                ["docker-registry", "serve", str(self.folder / "config.yml")], stdout=log, stderr=log
            )
        end = time.monotonic() + seconds(30)
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return self
            except OSError:
                if self._child.poll() is not None or time.monotonic() > end:
                    self.__exit__()
                    raise AssertionError(self.log.read_text()) from None
                time.sleep(0.02)

    def __exit__(self, *_: object) -> None:
        self._child.kill()
        self._child.wait()
