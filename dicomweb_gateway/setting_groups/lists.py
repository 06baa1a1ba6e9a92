"""Settings that are lists."""

from typing import Annotated, Any

from pydantic_settings import NoDecode

CommaList = Annotated[tuple[str, ...], NoDecode]
"""A list; in the environment and on the command line the members are separated by commas."""


def split_list(value: Any) -> Any:
    """The members of a list that is written with commas; anything else as it is."""
    if isinstance(value, str):
        return tuple(member.strip() for member in value.split(",") if member.strip())
    return value
