"""Callers of every kind, with tokens that are looked up in a real file and rules that are read from one."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from flask import Flask

from dicomweb_gateway.access.authentication import Authenticator
from dicomweb_gateway.access.operations import READING, Operation
from dicomweb_gateway.access.rules_file import RulesFile
from dicomweb_gateway.access.tokens import StaticTokens, add_token
from dicomweb_gateway.app import create_app
from dicomweb_gateway.web.viewer import Viewer
from dicomweb_gateway.web.viewer_files import ViewerFiles
from tests.routes.archive import STORE, House, build
from tests.web.ohif_files import write_ohif

ELSEWHERE = "e" * 32
RULES = f"""
[[rules]]
groups = ["all"]
operations = ["search", "retrieve", "rendered", "tlm", "import", "admin"]
[[rules]]
groups = ["elsewhere"]
data_stores = ["{ELSEWHERE}"]
[[rules]]
groups = ["ct"]
data_stores = ["{STORE}", "{ELSEWHERE}"]
[rules.only]
Modality = ["CT"]
PatientID = "P*"
[[rules]]
groups = ["seg"]
[rules.only]
Modality = "SEG"
[[rules]]
groups = ["strangers"]
[rules.only]
PatientID = ["SOMEBODY ELSE"]
[[rules]]
groups = ["issuer"]
[rules.only]
IssuerOfPatientID = "*"
[[rules]]
groups = ["second path"]
paths = ["/dicomweb"]
[[rules]]
groups = ["searcher"]
operations = ["search"]
[[rules]]
groups = ["retriever"]
operations = ["retrieve"]
[[rules]]
groups = ["looker"]
operations = ["rendered"]
[[rules]]
groups = ["tlm"]
operations = ["tlm"]
[[rules]]
groups = ["importer"]
operations = ["import"]
[[rules]]
groups = ["mixed"]
operations = ["search"]
[[rules]]
groups = ["mixed"]
operations = ["retrieve", "rendered", "tlm"]
[rules.only]
Modality = "SEG"
"""


@dataclass(frozen=True)
class Rights:
    """What a caller may do, where, and series of which modalities they see; None: of all."""

    operations: frozenset[Operation] = frozenset(READING)
    modalities: frozenset[str] | None = None
    paths: tuple[str, ...] = ("/aetitle", "/dicomweb")

    def sees(self, operation: Operation, path: str | None, modalities: Iterable[str]) -> bool:
        """Whether anything of these modalities is there for the operation below a base path."""
        return (
            operation in self.operations
            and (path is None or path in self.paths)
            and (self.modalities is None or not self.modalities.isdisjoint(modalities))
        )


NOTHING = Rights(frozenset())
CALLERS: dict[str, Rights] = {
    "all": Rights(),
    "elsewhere": NOTHING,
    "ct": Rights(modalities=frozenset({"CT"})),
    "seg": Rights(modalities=frozenset({"SEG"})),
    "strangers": NOTHING,
    "issuer": NOTHING,
    "second path": Rights(paths=("/dicomweb",)),
    "searcher": Rights(frozenset({Operation.SEARCH})),
    "retriever": Rights(frozenset({Operation.RETRIEVE})),
    "looker": Rights(frozenset({Operation.RENDERED})),
    "tlm": Rights(frozenset({Operation.TLM})),
    "importer": NOTHING,
    "without a rule": NOTHING,
}


@dataclass(frozen=True, eq=False)
class Locked:
    """A gateway that asks for tokens, and one token for each caller."""

    house: House
    app: Flask
    tokens: dict[str, str]


def lock(folder: Path) -> Locked:
    """A gateway below `folder` with CALLERS."""
    house = build(folder)
    (folder / "rules.toml").write_text(RULES)
    tokens = {
        name: add_token(folder / "tokens", f"caller {number}", (name,), (), None)
        for number, name in enumerate([*CALLERS, "mixed"])
    }
    services = replace(
        house.services,
        authenticator=Authenticator(tokens=StaticTokens(folder / "tokens")),
        viewer=Viewer(ViewerFiles(write_ohif(folder / "ohif") / "dist")),
        rules=RulesFile(folder / "rules.toml", house.services.config.ae_paths),
    )
    return Locked(house, create_app(services), tokens)
