"""Which addresses of an identity provider can be believed."""

from ipaddress import ip_address
from urllib.parse import urlsplit


def is_safe_url(url: str) -> bool:
    """Whether what comes from `url` can be believed: https, or plain http on this machine."""
    try:
        parts = urlsplit(url)
        name = parts.hostname or ""
        _ = parts.port
    except ValueError:
        return False
    plain = parts.scheme == "http" and is_loopback(name)
    return bool(name) and parts.username is None and (parts.scheme == "https" or plain)


def is_loopback(name: str) -> bool:
    """Whether the host `name` is this machine by its name."""
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
