"""How far a walk is, in a small file: the next one goes on with it."""

import os
import uuid
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

from dicomweb_gateway.errors import ImportTrouble

RESOURCES, DATA, IMPORT, VERIFY, DELETE, DONE = "resources", "data", "import", "verify", "delete", "done"


@dataclass(slots=True)
class WalkState:
    """What a walk has made and found; `stage` is what comes next, `token` names what is made.

    `place` is the HealthImaging that it walks with. `made_store`: the data store is the walk's own, and goes
    with it; `made_stack`: so is the stack, `stack_store`: the data store goes with that.
    `new_image_sets` are those of `image_sets` that were not there before.
    """

    token: str = field(default_factory=lambda: uuid.uuid4().hex)
    stage: str = RESOURCES
    place: str = ""
    stack: str | None = None
    stack_id: str | None = None
    made_stack: bool = False
    datastore_id: str | None = None
    made_store: bool = False
    stack_store: bool = False
    bucket: str | None = None
    output_bucket: str | None = None
    role_arn: str | None = None
    sources: list[str] = field(default_factory=list)
    jobs: list[str] = field(default_factory=list)
    image_sets: list[str] = field(default_factory=list)
    new_image_sets: list[str] = field(default_factory=list)
    out: str = ""

    @property
    def removable(self) -> list[str]:
        """The image sets that clean-up may delete: what lay in a data store before the walk stays there."""
        is_own = self.made_store or self.stack_store
        return list(self.image_sets if is_own else self.new_image_sets)


class WalkFile:
    """The file at `path`. ImportTrouble when it holds something else."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def path(self) -> Path:
        """Where it is."""
        return self._path

    def read(self) -> WalkState | None:
        """The walk that has not ended, None when there is none."""
        try:
            found: dict[str, Any] = orjson.loads(self._path.read_bytes())
            state = WalkState(**found)
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise ImportTrouble(f"{self._path} is no state of a walk; remove it to begin anew") from error
        return None if state.stage == DONE else state

    def write(self, state: WalkState) -> None:
        """Keep `state`, whole or not at all."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = self._path.with_suffix(".part")
        beside.write_bytes(orjson.dumps(asdict(state), option=orjson.OPT_INDENT_2))
        os.replace(beside, self._path)
