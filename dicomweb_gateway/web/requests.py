"""What every route reads from a request: the Accept list and the query pairs."""

from flask import Request
from werkzeug.datastructures import MultiDict

from dicomweb_gateway.errors import InvalidRequest
from dicomweb_gateway.web.accept import MediaRange, parse_accept


def accepted(request: Request) -> list[MediaRange]:
    """What the client accepts: the `accept` parameter before the Accept headers (A-1, C-9)."""
    values = request.args.getlist("accept") if request.query_string else []
    return parse_accept([value for value in values if value.strip()] or request.headers.getlist("Accept"))


def query_pairs(request: Request) -> list[tuple[str, str]]:
    """The decoded query as (name, value) in the order written, empty names dropped (C-4)."""
    return [(name, value) for name, value in request.args.items(multi=True) if name]


def single(args: MultiDict[str, str], name: str) -> str | None:
    """The value of a parameter that may be given once, None without it; InvalidRequest for more.

    Of two values a cache, a proxy and we might each take another.
    """
    values = args.getlist(name)
    if len(values) > 1:
        raise InvalidRequest(f"{name} is given more than once")
    return values[0] if values else None
