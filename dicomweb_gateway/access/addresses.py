"""Where a request comes from, when proxies stand between: only what listed proxies say is believed.

A proxy writes who connected to it at the right end of X-Forwarded-For or Forwarded (RFC 7239). So the chain
is read from the right, from the peer on, for as long as each hop is a trusted proxy; the first that is none
is the client, and what it wrote itself further left is not believed.
"""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from dicomweb_gateway.access.networks import is_trusted

_LONGEST = 1024
"""Characters of a header; no chain of proxies is as long, and what is read is remembered."""
_V6_PREFIX = 64
"""Bits of an IPv6 address that one subscriber is given: the rest are the client's own to change."""


def client_address(
    peer: str,
    x_forwarded_for: str | None,
    forwarded: str | None,
    x_real_ip: str | None,
    proxies: tuple[str, ...],
) -> str:
    """The client's address; `peer` is who holds the connection, the others are headers as they came.

    Where both chains are there and tell different clients, the proxy passed one on that it did not write:
    neither is believed. X-Real-IP, which is no chain, counts where there is no other.
    """
    if not is_trusted(peer, proxies):
        return peer
    told = (x_forwarded_for, forwarded, x_real_ip)
    if any(header is not None and len(header) > _LONGEST for header in told):
        return peer
    return _told_address(peer, *told, proxies)


@lru_cache(maxsize=4096)
def _told_address(
    peer: str,
    x_forwarded_for: str | None,
    forwarded: str | None,
    x_real_ip: str | None,
    proxies: tuple[str, ...],
) -> str:
    chains = [
        _hops(x_forwarded_for.split(",")) if x_forwarded_for else None,
        _hops(_forwarded_for(forwarded)) if forwarded else None,
    ]
    told = {_walked(peer, hops, proxies) for hops in chains if hops is not None}
    if not told and x_real_ip:
        told = {_walked(peer, _hops([x_real_ip]), proxies)}
    return told.pop() if len(told) == 1 else peer


@lru_cache(maxsize=4096)
def client_key(address: str) -> str:
    """What clients are counted by: the address, of IPv6 the network of 64 bits."""
    known = parsed_address(address)
    if isinstance(known, IPv6Address):
        return str(IPv6Network((int(known) >> _V6_PREFIX << _V6_PREFIX, _V6_PREFIX)))
    return str(known or address)


def parsed_address(text: str) -> IPv4Address | IPv6Address | None:
    """The address that `text` names, an IPv4 address inside IPv6 as itself; None where it names none."""
    try:
        known = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (isinstance(known, IPv6Address) and known.ipv4_mapped) or known


def _walked(peer: str, hops: Sequence[str | None], proxies: tuple[str, ...]) -> str:
    """The first hop from the right that is no trusted proxy; what is no address ends the chain before it."""
    last = peer
    for hop in reversed(hops):
        if hop is None:
            return last
        last = hop
        if not is_trusted(hop, proxies):
            return last
    return last


def _hops(members: Sequence[str]) -> list[str | None]:
    return [_hop(member) for member in members]


def _hop(text: str) -> str | None:
    """An address in a chain without its port, brackets and quotes; None for what is no address."""
    bare = text.strip().strip('"')
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    known = parsed_address(bare)
    return None if known is None else str(known)


def _forwarded_for(header: str) -> list[str]:
    """The `for` of each element of Forwarded, "" for one without."""
    found = []
    for element in header.split(","):
        pairs = (pair.strip().partition("=") for pair in element.split(";"))
        found.append(next((value for name, _, value in pairs if name.strip().lower() == "for"), ""))
    return found
