"""The README's nginx before a gateway keeps frames, for each caller or, on purpose, for all (7.2)."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from dicomweb_gateway.access.tokens import add_token
from dicomweb_gateway.workflow.samples import write_synthetic_series
from tests.emulator.running import client_of
from tests.nginx import program, start

from .house import House, answers, free_port, wait_for

README = Path(__file__).parents[2] / "README.md"
_SAYS_WHENCE = "access_log off;\nadd_header X-Cache $upstream_cache_status always;\n"


def recipe(folder: Path, port: int, gateway: int) -> str:
    """What the README says, at other places."""
    (found,) = re.findall(r"```nginx\n(proxy_cache_path.*?)```", README.read_text(), re.DOTALL)
    found = found.replace("/var/cache/nginx/frames", str(folder / "cache"))
    found = found.replace("http://127.0.0.1:8080", f"http://127.0.0.1:{gateway}")
    return found.replace("server {", f"server {{\n    listen 127.0.0.1:{port};")


@contextmanager
def nginx(folder: Path, gateway: int) -> Iterator[str]:
    """Its root."""
    found = program()
    if found is None:
        pytest.skip("nginx is not installed")
    folder.mkdir()
    port = free_port()
    inside = _SAYS_WHENCE + recipe(folder, port, gateway)
    with start(found, folder, inside) as process:
        root = f"http://127.0.0.1:{port}"
        try:
            wait_for(lambda: answers(f"{root}/datastore/healthcheck") or process.poll() is None)
            wait_for(lambda: reached(root))
            yield root
        finally:
            process.terminate()
            process.wait(30)


def reached(root: str) -> bool:
    try:
        return requests.get(f"{root}/datastore/x", timeout=10).status_code in (401, 404)
    except requests.RequestException:
        return False


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("cdn")
    write_synthetic_series(folder / "in", slices=2, size=64)
    house = House(folder / "house", folder / "in", {"FETCHER_PROCESSES": "1"})
    yield house
    house.close()


@pytest.fixture(scope="module")
def address(house: House) -> str:
    """Path of a frame's level 0."""
    service = client_of(house.emulator)
    (store,) = service.list_datastores()["datastoreSummaries"]
    found = service.search_image_sets(datastoreId=store["datastoreId"], searchCriteria={})
    (row,) = found["imageSetsMetadataSummaries"]
    path = f"/datastore/{store['datastoreId']}/imageSet/{row['imageSetId']}"
    blob = requests.post(f"{house.emulator}{path}/getImageSetMetadata", timeout=30).json()
    (series,) = blob["Study"]["Series"].values()
    frame = next(iter(series["Instances"].values()))["ImageFrames"][0]["ID"]
    return f"{path}/getImageFrame?imageFrameId={frame}&startLevel=0&endLevel=0"


@pytest.fixture(params=[None, "shared", "private"])
def mode(request: pytest.FixtureRequest, house: House) -> Iterator[str | None]:
    """A gateway with this CDN_CACHING."""
    house.settings.pop("CDN_CACHING", None)
    if request.param is not None:
        house.settings["CDN_CACHING"] = request.param
    house.start()
    yield request.param
    assert house.stop() == 0


RULES = """
[[rules]]
groups = ["readers"]
[[rules]]
groups = ["others"]
[rules.only]
PatientID = "SOMEBODY ELSE"
"""


@pytest.fixture
def locked(house: House, tmp_path: Path) -> Iterator[dict[str, str]]:
    """A gateway with rules behind a cache that keeps a copy for each caller; tokens by caller."""
    (tmp_path / "rules.toml").write_text(RULES)
    groups = {"anna": "readers", "carl": "readers", "bert": "others"}
    tokens = {name: add_token(tmp_path / "tokens", name, (one,), (), None) for name, one in groups.items()}
    more = {
        "AUTH_MODE": "token",
        "TOKENS_FILE": str(tmp_path / "tokens"),
        "ACCESS_RULES": str(tmp_path / "rules.toml"),
        "CDN_CACHING": "per-caller",
    }
    house.settings |= more
    house.start()
    yield tokens
    assert house.stop() == 0
    for name in more:
        del house.settings[name]


def test_callers_with_other_rights_never_get_each_others_answers(
    house: House, address: str, locked: dict[str, str], tmp_path: Path
) -> None:
    document = address.partition("/getImageFrame")[0] + "/getImageSetMetadata?version=1"
    seen: dict[str, set[str]] = {name: set() for name in locked}
    with nginx(tmp_path / "nginx", house.port) as root:
        for _ in range(2):
            for name, token in locked.items():
                for path in (address, document):
                    for headers in ({"Authorization": f"Bearer {token}"}, {"token": token}):
                        answer = requests.get(f"{root}{path}", headers=headers, timeout=30)
                        assert answer.status_code == (404 if name == "bert" else 200), (name, path)
                        seen[name].add(answer.headers["X-Cache"])
                    assert requests.get(f"{root}{path}", timeout=30).status_code == 401
                    asked = requests.get(f"{root}{path}&token={token}", timeout=30)
                    assert asked.status_code == (404 if name == "bert" else 200)
    assert "HIT" in seen["anna"]
    assert "HIT" in seen["carl"]
    assert seen["bert"] == {"MISS"}


def test_what_nginx_keeps_and_for_whom(house: House, address: str, mode: str | None, tmp_path: Path) -> None:
    callers = [{"Authorization": "Bearer one"}, {"Authorization": "Bearer two"}, {"token": "three"}, {}]
    with nginx(tmp_path / "nginx", house.port) as root:

        def ask(caller: dict[str, str], path: str = address) -> str:
            answer = requests.get(f"{root}{path}", headers=caller, timeout=30)
            assert answer.status_code == 200
            return str(answer.headers["X-Cache"])

        first = [ask(caller) for caller in callers]
        again = [ask(caller) for caller in callers]
        other = ask({}, address.replace("endLevel=0", "endLevel=1"))
        refused = [
            requests.get(f"{root}{address.replace('imageFrameId=', 'imageFrameId=0')}", timeout=30)
            for _ in range(2)
        ]
    assert [answer.status_code for answer in refused] == [400, 400]
    assert {answer.headers["X-Cache"] for answer in refused} == {"MISS"}
    assert other == "MISS"
    if mode is None:
        assert first == ["MISS"] * 4
        # nginx has the caller who came last under the first name of the key, the others beside it
        assert again == ["HIT"] * 4
    elif mode == "shared":
        assert first == ["MISS", "HIT", "HIT", "HIT"]
        assert again == ["HIT"] * 4
    else:
        assert first == again == ["MISS"] * 4
