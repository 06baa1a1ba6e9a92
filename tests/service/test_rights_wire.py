"""Callers with different rights who share a connection: none is ever answered by the rights of another."""

import itertools

import pytest

from dicomweb_gateway.access.tokens import add_token
from tests.routes.archive import CT, SR, STORE, hex_id, path_of
from tests.service.test_login_wire import Wire

SERVER = """
import socket, sys
from dataclasses import replace
from pathlib import Path
from dicomweb_gateway.access.authentication import Authenticator
from dicomweb_gateway.access.rules_file import RulesFile
from dicomweb_gateway.access.tokens import StaticTokens
from dicomweb_gateway.service.server import serve
from tests.routes.archive import build

folder = Path(sys.argv[2])
house = build(folder, host_rule_on=False)
(folder / "rules").write_text(
    "[[rules]]\\nusers = 'ct'\\n[rules.only]\\nModality = 'CT'\\n"
    "[[rules]]\\nusers = 'sr'\\n[rules.only]\\nModality = 'SR'\\n"
)
login = Authenticator(tokens=StaticTokens(folder / "t"))
rules = RulesFile(folder / "rules", house.services.config.ae_paths)
with socket.socket(fileno=int(sys.argv[1])) as door:
    serve(replace(house.services, authenticator=login, rules=rules), door, 4)
"""

FRAME = f"{path_of(CT, 1)}/frames/1"
LEVELS = (
    f"/datastore/{STORE}/imageSet/{hex_id('set', CT)}/getImageFrame?imageFrameId={hex_id('frame', CT, 1, 1)}"
)
ADDRESSES = [
    (FRAME, "ct"),
    (LEVELS, "ct"),
    (f"{path_of(CT, 1)}/metadata", "ct"),
    (f"{path_of(SR, 1)}/metadata", "sr"),
    (f"{path_of(SR)}/instances?limit=1", None),
    ("/healthcheck", "public"),
]


@pytest.fixture(scope="module")
def wire(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rights")
    made = Wire(folder, SERVER)
    made.tokens = {"ct": made.token, "sr": add_token(folder / "t", "sr", (), (), None), "nobody": None}
    # the file is looked at each second
    while made.ask(f"token: {made.tokens['sr']}")[0] != 200:
        pass
    yield made
    made.close()


def expected(who, owner):
    if owner == "public":
        return 200
    if who == "nobody":
        return 401
    return 200 if owner in (who, None) else 404


def asked(wire, who, address, where):
    token = wire.tokens[who]
    if token is None:
        return address, []
    if where == "query":
        return f"{address}{'&' if '?' in address else '?'}token={token}", []
    return address, [f"token: {token}"]


@pytest.mark.parametrize("where", ["query", "header"])
def test_the_rights_of_one_request_end_with_it(wire, where):
    # with tokens in queries the header lines, by which heads are remembered, are always the same
    for (address, owner), (other, _) in itertools.product(ADDRESSES, repeat=2):
        for who in ("ct", "sr", "nobody", "sr", "ct"):
            if who == "ct":
                # whose head is not remembered, so that the next one is read anew
                wire.ask(line="OPTIONS /aetitle/studies HTTP/1.1")
            for method in ("GET", "HEAD"):
                target, lines = asked(wire, who, address, where)
                assert wire.ask(*lines, line=f"{method} {target} HTTP/1.1")[0] == expected(who, owner)
            # what another asks for in between
            target, lines = asked(wire, "ct" if who == "sr" else "sr", other, where)
            wire.ask(*lines, line=f"GET {target} HTTP/1.1")


@pytest.mark.parametrize("where", ["query", "header"])
def test_nor_do_they_reach_requests_that_are_sent_ahead(wire, where):
    order = [
        (who, address, owner)
        for who in ("ct", "nobody", "sr", "nobody", "ct")
        for address, owner in ADDRESSES
        if owner != "public"
    ]
    for who, address, _ in order:
        target, lines = asked(wire, who, address, where)
        head = "\r\n".join([f"HEAD {target} HTTP/1.1", "Host: gw", *lines, "", ""])
        wire.connection.sendall(head.encode())
    for who, _, owner in order:
        status = int(wire.answers.readline().split()[1])
        while wire.answers.readline().strip():
            pass
        assert status == expected(who, owner)
