"""The ways to a server: through jump hosts, by a ProxyCommand."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys

import pytest
from ssh_servers import needs_sshd, run, try_command, wait_for

from shepherd.errors import Unreachable
from shepherd.transport import ssh_connection
from shepherd.transport.ssh import SshTransport

pytestmark = needs_sshd
HELLO = (b"hello\n", b"", 0)

# needs no netcat: connects, and relays until either side ends
RELAY = """
import os, select, socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
while True:
    for f in select.select([0, s], [], [])[0]:
        data = os.read(0, 65536) if f == 0 else s.recv(65536)
        if not data:
            sys.exit()
        s.sendall(data) if f == 0 else os.write(1, data)
"""


@pytest.fixture
def proxy(tmp_path):
    """A ProxyCommand."""
    script = tmp_path / "relay.py"
    script.write_text(RELAY)
    return f"{shlex.quote(sys.executable)} {script} %h %p"


@pytest.fixture
def three(sshd, known, home, material):
    """Two jump hosts and a target behind them; the configuration says how to log in to the jump hosts."""
    servers = sshd("first"), sshd("second"), sshd("target")
    known(*servers)
    first, second, _ = servers
    (home / ".ssh/config").write_text(
        f"Host first\n HostName 127.0.0.1\n Port {first.port}\n"
        f"Host second\n HostName 127.0.0.1\n Port {second.port}\n"
        f"Host first second\n User root\n IdentityFile {material / 'user'}\n"
    )
    return servers


def logins(server):
    return server.log.read_text().count("Accepted publickey")


def test_a_chain_of_jump_hosts(three, endpoint):
    _first, _second, target = three
    assert try_command(endpoint(target, ssh_args=("-J", "first,second"))) == HELLO
    assert [logins(server) for server in three] == [1, 1, 1]
    assert "127.0.0.1 port" in target.log.read_text()


def test_a_jump_host_that_has_a_jump_host_of_its_own(three, endpoint, home):
    config = home / ".ssh/config"
    config.write_text("Host second\n ProxyJump first\n" + config.read_text())
    assert try_command(endpoint(three[2], ssh_args=("-o", "ProxyJump=second"))) == HELLO
    assert [logins(server) for server in three] == [1, 1, 1]


def test_a_jump_host_with_user_and_port(three, endpoint, home, material):
    first, _, target = three
    (home / ".ssh/config").write_text(f"IdentityFile {material / 'user'}\nUser nobody\n")
    for way in (f"root@127.0.0.1:{first.port}", f"ssh://root@127.0.0.1:{first.port}"):
        assert try_command(endpoint(target, ssh_args=("-J", way))) == HELLO


def test_hosts_behind_a_jump_host_share_its_connection(three, endpoint):
    _, _, target = three

    async def body():
        transports = [SshTransport(endpoint(target, host=f"web{n}", ssh_args=("-J", "first,second"))) for n in range(6)]
        await asyncio.gather(*(transport.connect() for transport in transports))
        try:
            outputs = await asyncio.gather(*(run(transport, "head -c 300000 /dev/zero") for transport in transports))
            transports[0].close()
            assert (await run(transports[1], "echo still here"))[0] == b"still here\n"
        finally:
            for transport in transports:
                transport.close()
        assert ssh_connection._state().jumps == {}
        return outputs

    outputs = asyncio.run(body())
    assert [(len(output), status) for output, _, status in outputs] == [(300_000, 0)] * 6
    assert [logins(server) for server in three] == [1, 1, 6]
    wait_for(lambda: not three[0].sessions())


def test_a_jump_host_that_cannot_be_reached_fails_all_behind_it_under_their_own_names(three, endpoint):
    first, _, target = three
    first.stop()

    async def body():
        transports = [SshTransport(endpoint(target, host=name, ssh_args=("-J", "first"))) for name in ("a", "b")]
        return await asyncio.gather(*(transport.connect() for transport in transports), return_exceptions=True)

    for name, problem in zip("ab", asyncio.run(body()), strict=True):
        assert isinstance(problem, Unreachable)
        refused = f"{name}: jump host first: cannot connect to 127.0.0.1 port {first.port}: connection refused"
        assert problem.message == refused


def test_a_jump_host_whose_key_is_unknown(three, endpoint, home):
    (home / ".ssh/known_hosts").write_text(f"{three[2].address} {three[2].public_key}\n")
    with pytest.raises(Unreachable, match=r"jump host first.*is not known"):
        try_command(endpoint(three[2], ssh_args=("-J", "first")))


def test_a_jump_host_that_forbids_it(sshd, three, known, endpoint, material):
    closed = sshd("closed", AllowTcpForwarding="no")
    known(closed)
    way = f"root@127.0.0.1:{closed.port}"
    arguments = ("-J", way, "-o", f"IdentityFile={material / 'user'}")
    with pytest.raises(Unreachable, match="refused; nothing to try"):  # the key given is the target's, not the jump's
        try_command(endpoint(three[2], ssh_args=arguments))


def test_forwarding_forbidden(sshd, three, known, endpoint, home):
    closed = sshd("closed", AllowTcpForwarding="no")
    known(closed)
    config = home / ".ssh/config"
    config.write_text(config.read_text().replace(str(three[0].port), str(closed.port)))
    with pytest.raises(Unreachable, match=f"127.0.0.1 port {closed.port} cannot connect to") as caught:
        try_command(endpoint(three[2], ssh_args=("-J", "first")))
    assert "AllowTcpForwarding" in caught.value.hint


def test_a_target_that_is_down_behind_a_jump_host(three, endpoint):
    three[2].stop()
    with pytest.raises(Unreachable, match=r"the jump host 127.0.0.1 port .* cannot connect to 127.0.0.1 port"):
        try_command(endpoint(three[2], ssh_args=("-J", "first")), retries=0)


def test_a_jump_host_that_leads_back_to_itself(three, endpoint, home):
    config = home / ".ssh/config"
    config.write_text("Host first second\n ProxyJump second\n" + config.read_text())
    with pytest.raises(Unreachable, match="lead back to itself"):
        try_command(endpoint(three[2], ssh_args=("-J", "first")))


def test_a_jump_host_that_dies_takes_its_hosts_along(three, endpoint):
    async def body():
        transport = SshTransport(endpoint(three[2], ssh_args=("-J", "first")))
        await transport.connect()
        try:
            pipe = await transport.open("cat")
            closed = asyncio.Event()
            pipe.start(lambda data: None, closed.set)
            three[0].cut()
            await closed.wait()
            assert await pipe.wait() is None
            with pytest.raises(Unreachable, match="was lost"):
                await pipe.write(b"x")
            again = SshTransport(endpoint(three[2], ssh_args=("-J", "first")))  # while the broken one is still held
            await again.connect()
            assert await run(again, "echo hello") == HELLO
            again.close()
        finally:
            transport.close()

    asyncio.run(asyncio.wait_for(body(), 30))


# ProxyCommand


def test_a_proxy_command(three, endpoint, proxy):
    assert try_command(endpoint(three[2], ssh_args=("-o", f"ProxyCommand={proxy}"))) == HELLO


def test_a_proxy_command_is_ended_with_the_connection(three, endpoint, proxy, tmp_path):
    pid_file = tmp_path / "pid"
    command = f"sh -c 'echo $$ > {pid_file}; exec \"$@\"' sh {proxy}"
    assert try_command(endpoint(three[2], ssh_args=("-o", f"ProxyCommand={command}"))) == HELLO
    wait_for(lambda: not os.path.exists(f"/proc/{pid_file.read_text().strip()}"))


def test_a_proxy_command_that_fails_says_why(three, endpoint):
    command = "sh -c 'echo the tunnel is closed >&2; exit 1'"
    with pytest.raises(Unreachable, match=r"the ProxyCommand ended.*the tunnel is closed") as caught:
        try_command(endpoint(three[2], ssh_args=("-o", f"ProxyCommand={command}")), retries=0)
    assert command in caught.value.hint


def test_nothing_of_a_name_reaches_the_shell(three, endpoint, tmp_path):
    trap = tmp_path / "trap"
    for address in (f"x;touch${{IFS}}{trap}", f"$(touch {trap})", "-oProxyCommand"):
        with pytest.raises(Unreachable, match="meaning in the shell"):
            try_command(endpoint(three[2], address=address, ssh_args=("-o", "ProxyCommand=nc %h %p")))
    assert not trap.exists()
