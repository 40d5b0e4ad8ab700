"""The floor: what no tool of this kind can be faster than, as the whole time of a minimal script.

Imports what a tool must import, connects to each host, starts a Python there that answers, and makes as many empty
round trips, each with a fork at the far end, as the play has module runs.

    python floor.py RUNS INVENTORY-LINE-ADDRESS[:PORT]… --key FILE
"""

import socket
import sys
import threading

import jinja2  # noqa: F401  # the import is what is measured
import paramiko
import yaml  # noqa: F401  # likewise

HELPER = """
import os, sys
while True:
    if not os.read(0, 1):
        break
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    os.write(1, b"y")
"""


def host(address: str, key: paramiko.PKey, runs: int) -> None:
    name, _, port = address.partition(":")
    sock = socket.create_connection((name, int(port or 22)))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    transport = paramiko.Transport(sock)
    transport.connect(username="root", pkey=key)
    channel = transport.open_session()
    channel.exec_command("exec /usr/bin/python3 -S -E -c '" + HELPER.replace("'", '"') + "'")
    for _ in range(runs):
        channel.sendall(b"x")
        assert channel.recv(1) == b"y"
    transport.close()


def main() -> None:
    runs, key_file, addresses = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    key = paramiko.Ed25519Key.from_private_key_file(key_file)
    threads = [threading.Thread(target=host, args=(address, key, runs)) for address in addresses]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


main()
