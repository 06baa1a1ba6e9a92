"""Where tokens and passwords stand in a request."""

import pytest

from dicomweb_gateway.access.presented import LONGEST_TOKEN, Presented
from dicomweb_gateway.errors import InvalidRequest, Unauthenticated

FOUND = [
    (Presented(), None),
    (Presented(authorization="Bearer abc"), "abc"),
    (Presented(authorization="bEARER   abc "), "abc"),
    (Presented(authorization="Bearer a.b-c_d~e+f/g=="), "a.b-c_d~e+f/g=="),
    (Presented(token_header="abc"), "abc"),
    (Presented(query_tokens=("abc",)), "abc"),
    (Presented(query_tokens=("abc", "", "abc"), token_header="abc", authorization="Bearer abc"), "abc"),
    (Presented(authorization="Basic YTpi"), None),
    (Presented(authorization="AWS4-HMAC-SHA256 Credential=a"), None),
    (Presented(authorization="Bearerabc"), None),
    (Presented(query_tokens=("",), token_header=""), None),
    (Presented(token_header="a" * LONGEST_TOKEN), "a" * LONGEST_TOKEN),
]


@pytest.mark.parametrize(("presented", "token"), FOUND)
def test_the_token(presented, token):
    assert presented.token == token


@pytest.mark.parametrize(
    "presented",
    [
        Presented(authorization="Bearer"),
        Presented(authorization="Bearer "),
        Presented(authorization="Bearer a b"),
        Presented(authorization="Bearer abc, Bearer abc"),
        Presented(authorization="Bearer abc,"),
        Presented(token_header="a\r\nb"),
        Presented(token_header="tokén"),
        Presented(token_header="=abc"),
        Presented(query_tokens=("a b",)),
        Presented(query_tokens=("a\x00",)),
        Presented(token_header="a" * (LONGEST_TOKEN + 1)),
    ],
)
def test_what_is_no_token(presented):
    with pytest.raises(Unauthenticated):
        _ = presented.token


@pytest.mark.parametrize(
    "presented",
    [
        Presented(authorization="Bearer a", token_header="b"),
        Presented(authorization="Bearer a", query_tokens=("b",)),
        Presented(query_tokens=("a", "b")),
        Presented(token_header="a", repeated=True),
        Presented(authorization="Bearer", token_header="b"),
    ],
)
def test_different_tokens_are_not_guessed_at(presented):
    with pytest.raises(InvalidRequest):
        _ = presented.token


@pytest.mark.parametrize(
    ("authorization", "credentials"),
    [("Basic YTpi", "YTpi"), ("bAsIc  YTpi", "YTpi"), ("Basic", ""), ("Bearer YTpi", None), ("", None)],
)
def test_credentials(authorization, credentials):
    assert Presented(authorization=authorization).basic == credentials
