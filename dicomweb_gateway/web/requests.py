"""What every route reads from a request: the Accept list and the query pairs."""

from flask import Request
from werkzeug.datastructures import ImmutableMultiDict, MultiDict

from dicomweb_gateway.errors import InvalidRequest
from dicomweb_gateway.web.accept import MediaRange, parse_accept


def accepted(request: Request) -> list[MediaRange]:
    """What the client accepts: the `accept` parameter before the Accept headers (A-1, C-9)."""
    values = request.args.getlist("accept") if request.query_string else []
    return parse_accept([value for value in values if value.strip()] or request.headers.getlist("Accept"))


def plain_arguments(request: Request) -> MultiDict[str, str]:
    """`request.args`, read the short way where nothing in the query needs decoding."""
    query = request.environ.get("QUERY_STRING", "")
    if query.isascii() and "%" not in query and "+" not in query:
        parted = [pair.partition("=") for pair in query.split("&") if pair]
        # as werkzeug keeps them, for all who look at them later
        request.args = ImmutableMultiDict([(name, value) for name, _, value in parted])
    return request.args


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
