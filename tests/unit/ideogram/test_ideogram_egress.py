import pytest

from pressroom.egress import is_loopback_host, is_public_address, public_addresses, resolve
from pressroom.errors import InvalidSettings, NotSent

_TEXT = """
0.0.0.0 10.1.2.3 100.64.0.1 100.127.255.255 127.0.0.1 127.8.8.8 169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.8
192.0.2.1 192.88.99.1 192.168.0.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 239.1.1.1 240.0.0.1 255.255.255.255
:: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:93.184.216.34 64:ff9b::7f00:1 64:ff9b::5db8:d822 64:ff9b:1::1 100::1
2001::1 2001:db8::1 2002:7f00:1:: 2002:5db8:d822:: 3fff::1 5f00::1 fc00::1 fd12::1 fe80::1 fe80::1%lo fec0::1 ff02::1
2606:4700::1%eth0 127.1 0x7f.0.0.1 2130706433 localhost example.org [::1]
"""
NOT_PUBLIC = _TEXT.split()


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_that_may_reach_inside_is_not_public(address):
    """Private, shared, reserved and tunnelled forms, and text that is no address."""
    assert not is_public_address(address)


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "1.1.1.1", "100.128.0.1", "172.32.0.1", "2606:4700::1111", "2a00:1450::1"]
)
def test_an_ordinary_address_is_public(address):
    """Global unicast is dialled."""
    assert is_public_address(address)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("LOCALHOST", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost.example.org", False),
        ("::ffff:127.0.0.1", False),
        ("0.0.0.0", False),
        ("", False),
    ],
)
def test_loopback_is_told_by_the_text_alone(host, expected):
    """No name is resolved."""
    assert expected is is_loopback_host(host)


async def test_one_private_address_refuses_the_whole_name():
    """A name with a public and a private address is a trap."""

    async def resolver(_host, _port):
        return ["93.184.216.34", "192.168.0.1"]

    with pytest.raises(InvalidSettings, match="not public"):
        await public_addresses("example.org", 443, resolver=resolver)


async def test_the_checked_addresses_come_back_for_dialling():
    """The caller dials what was checked; literals need no look-up."""

    async def resolver(_host, _port):
        return ["93.184.216.34", "2606:4700::1"]

    assert await public_addresses("example.org", 443, resolver=resolver) == ["93.184.216.34", "2606:4700::1"]
    assert await public_addresses("[2606:4700::1]", 443) == ["2606:4700::1"]


async def test_a_name_without_address_was_not_dialled():
    """Nothing was sent, also when the answer is empty."""

    async def nothing(_host, _port):
        return []

    with pytest.raises(NotSent):
        await public_addresses("example.org", 443, resolver=nothing)
    with pytest.raises(NotSent):
        await public_addresses("nowhere.invalid", 443)


async def test_the_systems_resolver_knows_this_machine():
    """The default resolver is the real one."""
    assert {"127.0.0.1", "::1"} >= set(await resolve("localhost", 80))
