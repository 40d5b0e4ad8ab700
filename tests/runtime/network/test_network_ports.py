"""What `-p` may say, and addresses and subnets as numbers."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.network import addresses
from shepherd.runtime.network.addresses import INET, INET6, Subnet
from shepherd.runtime.network.ports import parse_ports


@pytest.mark.parametrize(
    "word, found",
    [
        ("80", ["127.0.0.1:0:80/tcp"]),
        ("8080:80", ["127.0.0.1:8080:80/tcp"]),
        ("8080:80/udp", ["127.0.0.1:8080:80/udp"]),
        ("8080:80/TCP", ["127.0.0.1:8080:80/tcp"]),
        ("0.0.0.0:8080:80", ["0.0.0.0:8080:80/tcp"]),
        ("127.0.0.1::80", ["127.0.0.1:0:80/tcp"]),
        ("[::]:8080:80", ["[::]:8080:80/tcp"]),
        ("[::1]::53/udp", ["[::1]:0:53/udp"]),
        ("[0:0::1]:80:80", ["[::1]:80:80/tcp"]),
        ("8000-8001:80-81", ["127.0.0.1:8000:80/tcp", "127.0.0.1:8001:81/tcp"]),
        ("80-81/udp", ["127.0.0.1:0:80/udp", "127.0.0.1:0:81/udp"]),
        ("8000-8010:80", ["127.0.0.1:8000-8010:80/tcp"]),
        ("192.0.2.1:65535:1", ["192.0.2.1:65535:1/tcp"]),
    ],
)
def test_ports(word, found):
    assert [repr(port) for port in parse_ports([word])] == found


@pytest.mark.parametrize(
    "word",
    [
        *(
            "",
            ":",
            "0",
            "80:0",
            "65536",
            "80:65536",
            "-1",
            "80-",
            "-80",
            "81-80",
            "8000-8001:80-82",
            "80:80/sctp",
            "80/",
        ),
        *("a", "80:a", ":80:80", "::80", "localhost:80:80", "1.2.3:80:80", "256.0.0.1:80:80", "[1.2.3.4]:80:80"),
        *("[::]80:80", "[::]:80", "[::", "::1:80:80", "1:2:3:4", " 80", "80 ", "80\n", "٨٠", "8_0", "+80", "0x50"),
        *("80:80/tcp/udp", None, 80),
    ],
)
def test_words_that_are_no_ports(word):
    with pytest.raises(RuntimeFailure) as caught:
        parse_ports(["1", word])
    assert "\n" not in caught.value.message and len(caught.value.message) < 200


def test_a_port_is_published_once():
    with pytest.raises(RuntimeFailure, match=r"127\.0\.0\.1:81/tcp is published twice"):
        parse_ports(["80-82:80-82", "81:8080"])
    assert len(parse_ports(["80:80", "80:80/udp", "0.0.0.0:80:80", "[::]:80:80", "80", "80"])) == 6
    with pytest.raises(RuntimeFailure, match="more than 4096"):
        parse_ports(["1-5000:1-5000"])


@given(st.text(alphabet="0123456789.:[]-/tcpudp ", max_size=40) | st.text(max_size=20))
def test_any_word_is_ports_or_refused(word):
    try:
        found = parse_ports([word])
    except RuntimeFailure:
        return
    for port in found:
        ipaddress.ip_address(port.address)
        assert 0 <= port.first <= port.last < 65536 and 0 < port.container < 65536 and port.protocol in ("tcp", "udp")
        assert parse_ports([repr(port).replace(":0:", "::")]) == [port]


@given(st.ip_addresses())
def test_addresses_are_those_of_the_standard_library(address):
    family, number = addresses.parse(str(address))
    assert (family, number) == (INET if address.version == 4 else INET6, int(address))
    assert ipaddress.ip_address(addresses.text_of(family, number)) == address


@given(st.ip_addresses(), st.integers(0, 128), st.ip_addresses(), st.integers(0, 128))
def test_subnets_are_those_of_the_standard_library(first, length, second, other):
    known = [
        ipaddress.ip_network((address, min(bits, address.max_prefixlen)), strict=False)
        for address, bits in ((first, length), (second, other))
    ]
    found = [Subnet.parse(str(one)) for one in known]
    assert [str(one) for one in found] == [
        addresses.canonical(str(one.network_address)) + f"/{one.prefixlen}" for one in known
    ]
    assert (addresses.parse(str(second)) in found[0]) == (second in known[0])
    same = known[0].version == known[1].version
    assert found[0].overlaps(found[1]) == (same and known[0].overlaps(known[1]))


BAD_SUBNETS = ["", "10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.1/24", "fd00::1/64", "fd00::/129", "x/8"]
BAD_SUBNETS += ["10.0.0.0/-1", "10.0.0.0/8/8", "10.0.0.0/ 8", "010.0.0.0/8", "10.0/8", "10.0.0.0/٨"]


@pytest.mark.parametrize("text", BAD_SUBNETS)
def test_texts_that_are_no_subnets(text):
    with pytest.raises(RuntimeFailure):
        Subnet.parse(text)
