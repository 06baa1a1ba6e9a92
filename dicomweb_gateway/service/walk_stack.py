"""The CloudFormation stack of a walk: its own, which goes with it, or one that was there and stays.

A stack is the walk's own when it bears the walk's token as a tag: a name alone says nothing, and whatever
else has that name may hold what nobody can replace.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from dicomweb_gateway.aws.buckets import Buckets
from dicomweb_gateway.aws.stacks import ROLLED_BACK, Stack, Stacks
from dicomweb_gateway.errors import ImportTrouble, MissingObject
from dicomweb_gateway.service.walk_guide import Guide
from dicomweb_gateway.service.walk_state import WalkState
from dicomweb_gateway.settings import Settings

OWNER = "dicomweb-gateway-workflow"
"""The tag that holds the token of the walk which made a stack."""

_PACKAGE = Path(__file__).parents[1]
_NAME = "import-resources.yaml"
_TEMPLATES = (_PACKAGE / "_deploy" / _NAME, _PACKAGE.parent / "deploy" / _NAME)
"""In a wheel the template lies inside the package, in an editable install beside it."""

_DATASTORE, _INPUT, _OUTPUT, _ROLE = "DatastoreID", "InputBucketName", "OutputBucketName", "RoleArn"


class WalkStack:
    """The stack that `state` names."""

    def __init__(self, settings: Settings, guide: Guide, state: WalkState) -> None:
        self._settings = settings
        self._guide = guide
        self._state = state
        self._stacks = Stacks(settings.ahi_region, lambda status: guide.say(f"Stack {state.stack}: {status}"))

    def close(self) -> None:
        """Leave no connection open."""
        self._stacks.close()

    def provide(self, is_existing: bool | None, parameters: Callable[[], Mapping[str, str]]) -> None:
        """Have the stack, and in `state` what is in it.

        `is_existing`: it is to be one that is there (True) or one of the walk's own (None, False). It is an
        ImportTrouble where it is the other, unless None was said and the guide agrees to use it. `parameters`
        are those of a new one.
        """
        state = self._state
        name = state.stack or ""
        found = self._without_remains(self._stacks.find(name))
        if found is None and is_existing:
            raise ImportTrouble(f"there is no stack {name}")
        if found is None:
            template = next(path for path in _TEMPLATES if path.exists()).read_text()
            found = self._stacks.make(name, template, parameters(), {OWNER: state.token})
        elif self._is_own(found):
            found = self._stacks.complete(found.stack_id)
        else:
            self._ask_to_use(found, is_existing)
            found = self._stacks.complete(found.stack_id)
        self._take(found)

    def remove(self) -> None:
        """Delete the walk's own stack, first what lies in its buckets: CloudFormation deletes empty ones."""
        found = self._stacks.find(self._state.stack_id or "")
        if found is None:
            self._guide.say(f"Stack {self._state.stack}: gone")
            return
        if not self._is_own(found):
            raise ImportTrouble(f"the stack {found.name} does not bear this walk's tag: it is not deleted")
        buckets = Buckets(self._settings.s3_endpoint, self._settings.ahi_region)
        try:
            for output in (_INPUT, _OUTPUT):
                # an earlier try may have come so far as to delete them
                with suppress(MissingObject):
                    bucket = found.outputs.get(output, "")
                    self._guide.say(f"Emptied {bucket} of {buckets.empty(bucket)} objects")
        finally:
            buckets.close()
        self._stacks.delete(found.stack_id)

    def _is_own(self, found: Stack) -> bool:
        return found.tags.get(OWNER) == self._state.token

    def _without_remains(self, found: Stack | None) -> Stack | None:
        """What is there but the name of a try of this walk that failed, which is made free."""
        if found is None or found.status != ROLLED_BACK or not self._is_own(found):
            return found
        self._stacks.delete(found.stack_id)
        return None

    def _ask_to_use(self, found: Stack, is_existing: bool | None) -> None:
        if is_existing:
            return
        there = f"There is a stack {found.name} already, which this walk has not made."
        if is_existing is None and self._guide.agree(f"{there} Use it, and leave it at the end?", False):
            return
        raise ImportTrouble(
            f"{there} Name another, or say --existing to use this one, which is not deleted then"
        )

    def _take(self, found: Stack) -> None:
        state, outputs = self._state, found.outputs
        lacking = [name for name in (_DATASTORE, _INPUT, _OUTPUT, _ROLE) if not outputs.get(name)]
        if lacking:
            raise ImportTrouble(f"the stack {found.name} is not one for imports: no output {lacking[0]}")
        state.stack_id = found.stack_id
        state.made_stack = self._is_own(found)
        state.datastore_id = state.datastore_id or outputs[_DATASTORE]
        makes_store = not found.parameters.get("DatastoreId")
        state.stack_store = state.made_stack and makes_store and state.datastore_id == outputs[_DATASTORE]
        state.bucket, state.output_bucket, state.role_arn = outputs[_INPUT], outputs[_OUTPUT], outputs[_ROLE]
        self._guide.say(
            f"Input bucket {state.bucket}, output bucket {state.output_bucket}, role {state.role_arn}."
        )
