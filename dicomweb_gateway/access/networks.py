"""Whether a peer is a proxy whose headers are believed."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network


def is_trusted(address: str | None, networks: tuple[str, ...]) -> bool:
    """Whether `address` lies in one of `networks` (addresses or CIDR); no text that is no address does."""
    return bool(networks) and _is_within(address or "", networks)


@lru_cache(maxsize=1024)
def _is_within(address: str, networks: tuple[str, ...]) -> bool:
    peer = _address(address)
    return peer is not None and any(peer in network for network in _parsed(networks))


@lru_cache(maxsize=16)
def _parsed(networks: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(network, strict=False) for network in networks)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(text)
    except ValueError:
        return None
    # an IPv4 peer of a socket that listens on both
    return (isinstance(found, IPv6Address) and found.ipv4_mapped) or found
