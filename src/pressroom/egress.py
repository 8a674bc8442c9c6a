"""The one address check for everything that dials out: which addresses are public, which hosts are this machine."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable

from pressroom.errors import InvalidSettings, NotSent

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[[str, int], Awaitable[list[str]]]
"""Host name and port to textual addresses; raises OSError where the name has none."""

_GLOBAL_UNICAST_V6 = ipaddress.ip_network("2000::/3")

_NOT_PUBLIC = tuple(
    ipaddress.ip_network(network)
    for network in (
        "100.64.0.0/10",  # shared by carriers (RFC 6598)
        "192.0.0.0/24",  # protocol assignments (RFC 6890)
        "192.88.99.0/24",  # 6to4 relays (RFC 7526)
        "198.18.0.0/15",  # benchmarks (RFC 2544)
        "2001::/23",  # protocol assignments, Teredo among them (RFC 2928, RFC 4380)
        "2002::/16",  # 6to4: reaches the IPv4 address inside (RFC 3056)
        "2001:db8::/32",  # documentation (RFC 3849)
        "3fff::/20",  # documentation (RFC 9637)
    )
)
"""Networks beyond what `ipaddress` calls not global in every Python that we support. Forms that carry an IPv4 address
inside (mapped, NAT64, 6to4, Teredo) are refused whole: what they reach depends on a gateway that we do not know."""


def is_public_address(address: str | Address) -> bool:
    """
    Whether an IP address is globally reachable unicast.

    Args:
        address: A literal such as `93.184.216.34` or `2606:4700::1`; brackets are not part of it.

    Returns:
        False for loopback, private, link-local, shared (100.64.0.0/10), multicast, reserved and documentation
        addresses, for IPv6 forms with an IPv4 address inside, and for text that is no address.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and (parsed.scope_id or parsed not in _GLOBAL_UNICAST_V6):
        return False
    if any(parsed in network for network in _NOT_PUBLIC):
        return False
    return parsed.is_global and not parsed.is_multicast


def is_loopback_host(host: str) -> bool:
    """
    Whether a host of an address means this machine: `localhost`, 127.0.0.0/8 or `::1`, brackets allowed.

    Names are not resolved: a name that happens to point to 127.0.0.1 is no loopback host.
    """
    bare = host.removeprefix("[").removesuffix("]")
    if bare.casefold() == "localhost":
        return True
    try:
        return ipaddress.ip_address(bare).is_loopback
    except ValueError:
        return False


async def resolve(host: str, port: int) -> list[str]:
    """Addresses of a host name from the system's resolver, in its order, each once."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


async def public_addresses(host: str, port: int, *, resolver: Resolver = resolve) -> list[str]:
    """
    The addresses of a host, refused as a whole unless every one of them is public.

    The caller dials one of the returned addresses, not the name: a second look-up may give another answer.

    Args:
        host: Name or literal address, brackets allowed.
        port: Port that will be dialled.
        resolver: Looks the name up; the system's resolver by default.

    Raises:
        InvalidSettings: At least one address is not public.
        NotSent: The name has no address.
    """
    bare = host.removeprefix("[").removesuffix("]")
    try:
        found = [str(ipaddress.ip_address(bare))]
    except ValueError:
        found = await _look_up(bare, port, resolver)
    if not all(is_public_address(address) for address in found):
        raise InvalidSettings(f"{bare} has an address that is not public; only public hosts are dialled")
    return found


async def _look_up(host: str, port: int, resolver: Resolver) -> list[str]:
    try:
        found = await resolver(host, port)
    except (OSError, UnicodeError) as error:
        raise NotSent(
            f"the name {host} cannot be resolved; check the name and the DNS of this machine"
        ) from error
    if not found:
        raise NotSent(f"the name {host} has no address; check the name and the DNS of this machine")
    return found
