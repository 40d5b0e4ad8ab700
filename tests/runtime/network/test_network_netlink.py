"""The reader of netlink's answers, against bytes that no kernel sends, and its writer, against the kernel."""

from __future__ import annotations

import errno
import json
import os
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shepherd.runtime.linux import netlink
from shepherd.runtime.linux.netlink import Netlink, attribute, attributes, messages
from shepherd.runtime.network import bridge


@given(st.binary(max_size=400))
def test_any_bytes_are_messages_or_refused(data):
    try:
        found = messages(data)
    except OSError as error:
        assert error.errno == errno.EBADMSG
        return
    assert sum(16 + len(body) for _kind, _sequence, body in found) <= len(data)


@given(st.binary(max_size=400))
def test_any_bytes_are_attributes(data):
    found = attributes(data)
    assert sum(4 + len(value) for value in found.values()) <= len(data) + 3


@given(st.lists(st.tuples(st.integers(0, 65535), st.integers(0, 2**32 - 1), st.binary(max_size=60)), max_size=6))
def test_messages_that_were_written_are_read(written):
    data = b""
    for kind, sequence, body in written:
        data += struct.pack("=IHHII", 16 + len(body), kind, 0, sequence, 0) + body + b"\0" * (-len(body) % 4)
    assert messages(data) == written


@given(st.dictionaries(st.integers(0, 0x3FFF), st.binary(max_size=60), max_size=6))
def test_attributes_that_were_written_are_read(written):
    assert attributes(b"".join(attribute(kind, value) for kind, value in written.items())) == written


@given(st.binary(max_size=200), st.integers(0, 200), st.binary(max_size=3))
def test_answers_that_are_damaged_end_with_an_error(body, place, damage):
    """What a request makes of any answer: data, or OSError; never another exception and never no end."""
    good = struct.pack("=IHHII", 16 + len(body), 16, 0, 1, 0) + body + b"\0" * (-len(body) % 4)
    good += struct.pack("=IHHIIi", 20, netlink.NLMSG_ERROR, 0, 1, 0, 0)
    bad = good[:place] + damage + good[place + len(damage) :]

    class Kernel:
        """Says it once, and is gone."""

        said = False

        def send(self, data):
            pass

        def recv(self, _length):
            if self.said:
                raise OSError(errno.ECONNRESET, "no more")
            self.said = True
            return bad

    made = Netlink.__new__(Netlink)
    made._socket, made._sequence = Kernel(), 0
    try:
        found = made.links()
    except OSError:
        return
    assert isinstance(found, dict)


@pytest.mark.lab
def test_errors_carry_the_kernels_number(host):
    with host.netlink() as here:
        here.add_bridge("br")
        with pytest.raises(FileExistsError):
            here.add_bridge("br")
        assert here.link("nobody") is None
        with pytest.raises(OSError) as caught:
            here.delete(9999)
        assert caught.value.errno == errno.ENODEV
        with pytest.raises(OSError):
            here.add_bridge("x" * 16)


class Late(Netlink):
    """The kernel takes an interface away just before we do: with the namespace that the other end is in."""

    def delete(self, index: int) -> None:
        super().delete(index)
        super().delete(index)


@pytest.mark.lab
def test_a_cable_that_goes_with_its_namespace_is_no_error(host):
    with host.netlink() as here, Late(host.namespace) as late:
        here.add_veth("cable", here.link("lan")[0], "end", None, b"\x02\0\0\0\0\x09", namespace=host.namespace)
        bridge.unplug(None, "cable", [], late)
        assert here.link("cable") is None


@pytest.mark.lab
def test_interfaces_move_between_namespaces(host):
    with host.netlink() as here, host.client.netlink() as there:
        master = here.link("lan")[0]
        here.add_veth("stays", master, "wanders", None, b"\x02\0\0\0\0\x09", namespace=host.namespace, mtu=1400)
        here.move(here.link("wanders")[0], host.client.namespace)
        assert here.link("wanders") is None
        index, hardware = there.link("wanders")
        assert hardware == b"\x02\0\0\0\0\x09"
        assert json.loads(host.client.program("ip", "-json", "link", "show", "wanders").stdout)[0]["mtu"] == 1400
        there.delete(index)


@pytest.mark.lab
def test_the_thread_is_where_it_was(host):
    before = os.stat("/proc/thread-self/ns/net").st_ino
    host.netlink().__exit__()
    with pytest.raises(ZeroDivisionError), host.inside():
        assert os.stat("/proc/thread-self/ns/net").st_ino == os.fstat(host.namespace).st_ino
        _ = 1 / 0
    with pytest.raises(OSError):
        Netlink(os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC))
    assert os.stat("/proc/thread-self/ns/net").st_ino == before


@pytest.mark.lab
def test_chains_of_the_packet_filter_are_seen(host):
    with Netlink(host.namespace, netlink.NETLINK_NETFILTER) as here:
        assert not here.has_chain("shepherd", "stands")
        host.program("nft", "-f", "-", text="table inet shepherd {\nchain stands {\n}\n}\n")
        assert here.has_chain("shepherd", "stands")
        assert not here.has_chain("shepherd", "other") and not here.has_chain("other", "mark")
