"""The guided walk from nothing to verified frames and back: resources, data, import, frames, clean-up.

It asks, or takes answers that were given before; what it has made is kept in a file, so that a walk which was
broken off goes on, and nothing that it made is forgotten.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from dicomweb_gateway.errors import ImportTrouble
from dicomweb_gateway.imagesets.data_stores import DataStores
from dicomweb_gateway.service.importing import make_import
from dicomweb_gateway.service.verifying import run_verify
from dicomweb_gateway.service.walk_guide import Answers, Guide
from dicomweb_gateway.service.walk_stack import WalkStack
from dicomweb_gateway.service.walk_state import (
    DATA,
    DELETE,
    DONE,
    IMPORT,
    RESOURCES,
    VERIFY,
    WalkFile,
    WalkState,
)
from dicomweb_gateway.settings import Settings
from dicomweb_gateway.workflow.samples import SAMPLE_SETS, sample_folders
from dicomweb_gateway.workflow.steps import Listener

_WORKERS = 16
_STORE_NAME = "workflow-datastore"
_STACK_NAME = "workflow-stack"


class Walk:
    """One walk over the settings that `make_settings` gives with what the walk decides."""

    def __init__(
        self,
        make_settings: Callable[..., Settings],
        guide: Guide,
        answers: Answers,
        meter: Listener,
    ) -> None:
        self._make_settings = make_settings
        self._guide = guide
        self._answers = answers
        self._meter = meter
        self._folder = make_settings().data_dir / "walk"
        self._file = WalkFile(self._folder / "state.json")

    def go(self) -> bool:
        """Walk to the end, or go on; whether all files came in and all frames were right.

        What is raised on the way leaves all as it is for the next call.
        """
        state = self._file.read()
        if state is not None:
            self._check_place(state)
            self._guide.say(f"An earlier walk goes on, next: {state.stage}.")
            self._guide.say(f"(To begin anew remove {self._file.path}; what it has made stays then.)")
        state = state or WalkState(place=self._place())
        steps = {
            RESOURCES: self._resources,
            DATA: self._data,
            IMPORT: self._import,
            VERIFY: self._verify,
            DELETE: self._delete,
        }
        is_fine = True
        while state.stage != DONE:
            stage = state.stage
            if steps[stage](state) is False:
                is_fine = False
            if state.stage == stage:
                raise ImportTrouble(f"the walk stands still at: {stage}")
            self._file.write(state)
        return is_fine

    def _place(self) -> str:
        """Which HealthImaging it is; that of one's own has another port each time."""
        settings = self._make_settings()
        if self._answers.own_emulator:
            return "the emulator of the walk's own"
        return str(settings.ahi_endpoint or f"AWS in {settings.ahi_region or 'the usual region'}")

    def _check_place(self, state: WalkState) -> None:
        if state.place and state.place != self._place():
            raise ImportTrouble(
                f"an earlier walk has not ended, and was with {state.place}, not with {self._place()}: let "
                f"it go on there, or remove {self._file.path} to forget what it has made"
            )

    def _settings(self, state: WalkState) -> Settings:
        named = {
            "import_bucket": state.bucket,
            "import_output_bucket": state.output_bucket,
            "import_role_arn": state.role_arn,
        }
        allowed = self._make_settings().ahi_datastore_ids
        if allowed and state.datastore_id and (state.made_store or state.stack_store):
            # nobody could name before what the walk has made
            named["ahi_datastore_ids"] = ",".join((*allowed, state.datastore_id))
        return self._make_settings(**{name: value for name, value in named.items() if value})

    def _resources(self, state: WalkState) -> None:
        """A data store, and for AWS buckets and a role; made or named (F1, F3)."""
        answers, guide, settings = self._answers, self._guide, self._make_settings()
        if not state.made_store:
            state.datastore_id = answers.datastore_id
        on_aws = settings.ahi_endpoint is None
        if not on_aws and answers.stack is None and state.stack is None:
            guide.say("HealthImaging is the one at " + str(settings.ahi_endpoint))
            if state.datastore_id is None:
                self._make_store(state, settings)
        elif self._wants_stack(state):
            self._provide_stack(state, settings)
        elif state.datastore_id is None:
            state.datastore_id = guide.text("Id of the data store:", ",".join(settings.ahi_datastore_ids))
        guide.say(f"The data store is {state.datastore_id}.")
        state.stage = DATA

    def _wants_stack(self, state: WalkState) -> bool:
        if state.stack is not None or self._answers.stack is not None:
            return True
        if self._answers.create is not None:
            return self._answers.create
        self._guide.say(
            "An import needs a data store, a bucket for files, one for logs, and a role to read and write\n"
            "them as. They can be made as a CloudFormation stack, which goes away at the end."
        )
        return self._guide.agree("Make these resources?", True)

    def _make_store(self, state: WalkState, settings: Settings) -> None:
        name = self._answers.datastore_name or self._guide.text("Name of the data store:", _STORE_NAME)
        # known before it is there: the same token again makes no second one
        self._file.write(state)
        stores = DataStores(settings.ahi_endpoint, settings.ahi_region)
        try:
            state.datastore_id = stores.create(name, state.token).datastore_id
        finally:
            stores.close()
        state.made_store = True
        self._file.write(state)
        self._guide.say(f"Data store {name} is made.")

    def _provide_stack(self, state: WalkState, settings: Settings) -> None:
        answers, guide = self._answers, self._guide

        def parameters() -> dict[str, str]:
            found = {"KmsKeyArn": settings.import_kms_key_arn or ""}
            if state.datastore_id is None and settings.ahi_endpoint is None:
                name = answers.datastore_name or guide.text("Name of the data store:", _STORE_NAME)
                found["DatastoreName"] = name
            elif state.datastore_id is None:
                self._make_store(state, settings)
            return {**found, "DatastoreId": state.datastore_id or ""}

        # a stack that an earlier try began is not to be forgotten for another name
        state.stack = state.stack or answers.stack or guide.text("Name of the stack:", _STACK_NAME)
        self._file.write(state)
        stack = WalkStack(settings, guide, state)
        try:
            stack.provide(None if answers.create is None else not answers.create, parameters)
        finally:
            stack.close()

    def _data(self, state: WalkState) -> None:
        """Files of one's own, or one of the sample sets (F2)."""
        answers = self._answers
        if answers.dicom:
            state.sources = [str(path.absolute()) for path in answers.dicom]
        else:
            titles = {name: one.title for name, one in SAMPLE_SETS.items()}
            chosen = answers.samples or self._guide.choose("Which DICOM files?", titles, "ct-small")
            folders = sample_folders(self._folder / "samples", [chosen])
            state.sources = [str(path.absolute()) for path in folders]
        state.stage = IMPORT

    def _import(self, state: WalkState) -> bool:
        """The import and its job, followed to the end (F4, F5); whether all came in."""
        self._guide.say(f"Importing {', '.join(state.sources)}")
        with make_import(
            self._settings(state), state.datastore_id, _WORKERS, True, True, None, False, self._meter
        ) as made:
            found = made.importer.run([Path(one) for one in state.sources], state.token)
            for line in found.lines(made.ledger):
                self._guide.say(line)
        state.jobs, state.image_sets = list(found.jobs), list(found.image_sets)
        state.new_image_sets = list(found.new_image_sets)
        for job, status in found.jobs.items():
            self._guide.say(f"Import job {job}: {status}")
        self._guide.say("The image sets of this import:")
        for image_set_id in state.image_sets:
            self._guide.say(f"  Image set: {image_set_id}")
        job = state.jobs[0] if state.jobs else state.token
        state.out = str((self._answers.out / f"import_job_{job}").absolute())
        state.stage = VERIFY
        return found.is_fine

    def _verify(self, state: WalkState) -> bool:
        """All frames downloaded, decoded and compared (F6, F7)."""
        if not state.image_sets:
            # to name none would mean all of the data store
            self._guide.say("Nothing was imported, so there is nothing to verify.")
            state.stage = DELETE
            return False
        self._guide.say(f"Frames are downloaded to {state.out}, decoded, and compared with their checksums.")
        report = run_verify(
            self._settings(state),
            state.datastore_id,
            image_set_ids=tuple(state.image_sets),
            folder=Path(state.out),
            processes=self._answers.processes,
            listener=self._meter,
        )
        for line in report.lines():
            self._guide.say(line)
        state.stage = DELETE
        return report.is_fine

    def _delete(self, state: WalkState) -> None:
        """Image sets one by one, then what was made for them (F8)."""
        kept = len(state.image_sets) - len(state.removable)
        if kept:
            self._guide.say(f"{kept} image sets were there before, or may have been: they stay.")
        made = [f"{len(state.removable)} image sets"]
        made += ["the data store"] if state.made_store else []
        made += [f"the stack {state.stack}"] if state.made_stack else []
        if state.stack and not state.made_stack:
            self._guide.say(f"The stack {state.stack} was there before: it stays.")
        wanted = self._answers.delete
        if wanted is None:
            wanted = self._guide.agree(f"Delete {', '.join(made)}?", True)
        if wanted:
            self._clean_up(state)
        else:
            self._guide.say(f"Left as it is: {', '.join(made)} (data store {state.datastore_id}).")
        state.stage = DONE

    def _clean_up(self, state: WalkState) -> None:
        settings, datastore_id = self._settings(state), state.datastore_id or ""
        stores: Any = DataStores(settings.ahi_endpoint, settings.ahi_region)
        try:
            for image_set_id in state.removable:
                stores.delete_image_set(datastore_id, image_set_id)
                self._guide.say(f"Deleted image set {image_set_id} from data store {datastore_id}")
            if state.made_store:
                stores.remove(datastore_id)
                self._guide.say(f"Deleted data store {datastore_id}")
        finally:
            stores.close()
        if state.made_stack:
            stack = WalkStack(settings, self._guide, state)
            try:
                stack.remove()
            finally:
                stack.close()
