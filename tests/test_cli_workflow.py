"""`workflow` and `datastores`: by hand, by options, with CloudFormation, broken off anywhere."""

import os
import random
from dataclasses import replace
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError

from dicomweb_gateway.service import walk as module
from dicomweb_gateway.service.walk import Walk
from dicomweb_gateway.service.walk_guide import Answers
from dicomweb_gateway.service.walk_state import WalkFile, WalkState
from dicomweb_gateway.settings import load_settings
from tests.buckets import aws_server, buckets
from tests.deploy.recipes import DEPLOY
from tests.deploy.template import read_template
from tests.emulator.files import ct_slice, save
from tests.emulator.running import running
from tests.test_cli_import import Desk

__all__ = ["aws_server", "buckets"]


@pytest.fixture(scope="module")
def emulator(aws_server, tmp_path_factory):
    with running(tmp_path_factory.mktemp("walk"), workers=1, s3_endpoint=aws_server) as made:
        yield made


@pytest.fixture
def desk(emulator, tmp_path):
    return Desk(tmp_path, emulator)


@pytest.fixture
def cloudformation(aws_server, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDFORMATION", aws_server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    made = boto3.client("cloudformation", endpoint_url=aws_server, region_name="us-east-1")
    yield made
    made.close()


def state_of(emulator, datastore_id):
    try:
        found = emulator.client.get_datastore(datastoreId=datastore_id)
    except ClientError:
        return "DELETED"
    return found["datastoreProperties"]["datastoreStatus"]


def store_in(said):
    return said.split("The data store is ")[1].split(".")[0]


def test_a_walk_by_hand(desk):
    out = desk.folder / "out"
    # name of the store, set 1, delete
    options = ["--out", str(out), "--processes", "0"]
    # what the walk makes may be used, though nobody could name it before
    said = desk.run(
        "workflow",
        *options,
        given="my-store\n1\ny\n",
        ahi_datastore_ids="d" * 32,
        store_datastore_id="d" * 32,
    )
    assert "Data store my-store is made." in said
    assert "1 - CT of a chest (2 images)" in said
    assert "2 files imported into 1 image sets" in said
    assert "all frames are right" in said
    assert len(list(out.glob("import_job_*/**/*.jph"))) == 2
    assert "Deleted image set " in said
    store = store_in(said)
    assert state_of(desk.emulator, store) != "ACTIVE"
    # broken off after it was deleted, it is deleted once more
    state = desk.folder / "data" / "walk" / "state.json"
    state.write_text(state.read_text().replace('"stage": "done"', '"stage": "delete"'))
    again = desk.run("workflow", "--yes")
    assert "An earlier walk goes on, next: delete." in again
    assert f"Deleted data store {store}" in again


def test_a_walk_that_asks_nothing_and_keeps_all(desk):
    store = desk.emulator.datastore()
    options = ["--yes", "--datastore", store, "--samples", "colour-cine", "--keep", "--processes", "0"]
    said = desk.run("workflow", *options, "--out", str(desk.folder / "out"))
    assert "48 frames of 1 instances in 1 image sets" in said
    assert "Left as it is" in said
    assert len(desk.emulator.image_sets(store)) == 1
    # what was imported before comes in again: a walk is a walk
    again = desk.run("workflow", *options, "--out", str(desk.folder / "out"))
    assert "1 files imported into 1 image sets" in again


@pytest.mark.filterwarnings("ignore:Tried to parse")
def test_a_walk_makes_a_stack_and_others_only_use_it(desk, aws_server, buckets, cloudformation):
    options = ["--yes", "--stack", "walk-stack", "--processes", "0", "--out", str(desk.folder / "out")]
    settings = {"s3_endpoint": aws_server, "ahi_region": "us-east-1"}
    said = desk.run("workflow", *options, "--keep", **settings)
    assert "Stack walk-stack: CREATE_COMPLETE" in said
    bucket = said.split("Input bucket ")[1].split(",")[0]
    output = said.split("output bucket ")[1].split(",")[0]
    assert "role arn:aws:iam::" in said
    assert "all frames are right" in said
    assert "Left as it is: 1 image sets, the data store, the stack walk-stack" in said
    assert list(buckets.objects(bucket, "")) == []
    logs = {one.key for one in buckets.objects(output, "")}
    assert {key.rpartition("/")[2] for key in logs} >= {"job-output-manifest.json"}
    store = store_in(said)
    # what another walk has made is not this one's to take, and even less to delete
    options.append("--delete")
    refused = desk.run("workflow", *options, code=1, **settings)
    assert "There is a stack walk-stack already, which this walk has not made." in refused
    assert "say --existing to use this one" in refused
    said = desk.run("workflow", *options, "--existing", **settings)
    assert store_in(said) == store
    assert "The stack walk-stack was there before: it stays." in said
    assert "Deleted image set" not in said
    assert state_of(desk.emulator, store) == "ACTIVE"
    assert logs < {one.key for one in buckets.objects(output, "")}
    assert cloudformation.describe_stacks(StackName="walk-stack")["Stacks"]


def test_a_walk_goes_on_where_it_was_and_nowhere_else(desk):
    WalkFile(desk.folder / "data" / "walk" / "state.json").write(WalkState(place="AWS in eu-west-1"))
    for options, here in (([], desk.emulator.url), (["--emulator"], "the emulator of the walk's own")):
        refused = desk.run("workflow", "--yes", *options, code=1)
        assert f"was with AWS in eu-west-1, not with {here}" in refused
        assert "state.json to forget" in refused


def test_a_walk_with_an_emulator_of_its_own_needs_nothing(desk):
    options = ["--yes", "--emulator", "--processes", "0", "--out", str(desk.folder / "out")]
    elsewhere = {
        "ahi_endpoint": "http://127.0.0.1:9",
        "ahi_datastore_ids": "d" * 32,
        "store_datastore_id": "d" * 32,
    }
    role = "arn:aws:iam::111122223333:role/import"
    said = desk.run("workflow", *options, **elsewhere, import_bucket="of-aws", import_role_arn=role)
    assert "all frames are right" in said
    assert "Deleted data store" in said


def test_what_was_there_before_a_walk_stays(desk):
    store = desk.emulator.datastore()
    for number in (1, 2):
        save(ct_slice(number, size=16), desk.folder / str(number) / "a.dcm")
    save(ct_slice(1, 2, size=16), desk.folder / "2" / "b.dcm")
    desk.emulator.load(store, desk.folder / "1")
    [before] = desk.emulator.image_sets(store)
    options = ["--yes", "--datastore", store, "--delete", "--processes", "0", "--out", str(desk.folder / "o")]
    said = desk.run("workflow", *options, "--dicom", str(desk.folder / "2"))
    assert "2 files imported into 2 image sets" in said
    assert "1 image sets were there before" in said
    assert said.count("Deleted image set") == 1
    left = [one["imageSetId"] for one in desk.emulator.image_sets(store)]
    assert left == [before["imageSetId"]]


def test_a_walk_without_anything_imported_verifies_nothing(desk):
    store = desk.emulator.datastore()
    save(ct_slice(1, size=16), desk.folder / "in" / "a.dcm")
    desk.emulator.load(store, desk.folder / "in")
    (desk.folder / "cut").mkdir()
    (desk.folder / "cut" / "b.dcm").write_bytes((desk.folder / "in" / "a.dcm").read_bytes()[:-5])
    out = desk.folder / "o"
    options = ["--yes", "--datastore", store, "--delete", "--processes", "0", "--out", str(out)]
    said = desk.run("workflow", *options, "--dicom", str(desk.folder / "cut"), code=1)
    assert "nothing to verify" in said
    assert not list(out.rglob("*.jph"))
    assert len(desk.emulator.image_sets(store)) == 1


STOPS = int(os.environ.get("STOPS", "3"))
"""Points at which a walk is broken off."""


class Stopped(Exception):
    """Stands for whatever ends a walk."""


class Guide:
    """Answers with defaults, and breaks off at a chosen step."""

    def __init__(self) -> None:
        self.steps, self.stop_at, self.said = 0, 0, []

    def _step(self) -> None:
        self.steps += 1
        if self.steps == self.stop_at:
            raise Stopped

    def say(self, text=""):
        self.said.append(text)
        self._step()

    def text(self, question, default):
        return default

    def choose(self, question, options, default):
        return default

    def agree(self, question, default):
        return default

    def hear(self, progress):
        if progress.phase != "importing":
            self._step()


def test_a_walk_that_is_broken_off_goes_on_and_forgets_nothing(desk, monkeypatch):
    folder = desk.folder
    for number in (1, 2):
        save(ct_slice(number, size=16), folder / "in" / f"{number}.dcm")
    answers = Answers(dicom=(folder / "in",), delete=True, processes=0)
    monkeypatch.setattr(module, "_STORE_NAME", "broken-walk")

    def walk(guide, name):
        def make_settings(**more):
            return load_settings({**desk.settings, "data_dir": folder / name, **more})

        return Walk(make_settings, guide, replace(answers, out=folder / name), guide.hear).go()

    whole = Guide()
    assert walk(whole, "whole")
    made = []
    chances = random.Random(8)
    for stop in chances.sample(range(2, whole.steps - 2), STOPS):
        name = f"stopped-{stop}"
        guide = Guide()
        guide.stop_at = stop
        with pytest.raises(Stopped):
            walk(guide, name)
        rest = Guide()
        assert walk(rest, name), stop
        said = guide.said + rest.said
        assert "2 files imported into 1 image sets, 0 unchanged, 0 are no DICOM, 0 failed" in said
        assert any("Deleted image set" in line for line in said)
        made.append(store_in("\n".join(line for line in said if "The data store is" in line)))
    assert {state_of(desk.emulator, store) for store in made} <= {"DELETING", "DELETED"}
    # not one more than there were walks: a store whose making was broken off is the one that is used
    names = [row["datastoreName"] for row in listed(desk.emulator) if row["datastoreStatus"] == "ACTIVE"]
    assert "broken-walk" not in names
    assert len(set(made)) == STOPS


def listed(emulator):
    pages = emulator.client.get_paginator("list_datastores").paginate()
    return [row for page in pages for row in page["datastoreSummaries"]]


def test_wrong_frames_fail_the_walk(desk):
    desk.emulator.side("PUT", "faults", json={"corrupt_rate": 1.0})
    try:
        said = desk.run("workflow", "--yes", "--processes", "0", "--out", str(desk.folder / "o"), code=1)
    finally:
        desk.emulator.side("PUT", "faults", json={"corrupt_rate": 0.0})
    assert "2 failures" in said
    assert "Deleted data store" in said


def test_data_stores_are_listed_shown_made_and_deleted(desk):
    made = desk.json("datastores", "create", "of-my-own")
    store = made["datastore_id"]
    said = desk.run("datastores")
    assert said.splitlines()[0].endswith("HealthImaging data stores were retrieved.")
    assert f"{store}  ACTIVE    of-my-own" in said
    assert "of-my-own" in desk.run("datastores", "list", "--json")
    assert desk.json("datastores", "tag", store, "ward=7 north", "use=test") == {
        "ward": "7 north",
        "use": "test",
    }
    assert desk.run("datastores", "tag", store, "use-", "ward=8") == "ward=8\n"
    shown = desk.json("datastores", "show", store)
    assert (shown["tags"], shown["storage_format"], shown["status"]) == ({"ward": "8"}, "HTJ2K", "ACTIVE")
    assert "storage_format  HTJ2K" in desk.run("datastores", "show", store)
    assert "being deleted" in desk.run("datastores", "delete", store, given="y\n")
    assert "Aborted" in desk.run("datastores", "delete", store, given="n\n", code=1)
    assert "KEY=VALUE" in desk.run("datastores", "tag", store, "nonsense", code=2)
    assert "there is no such data store" in desk.run("datastores", "show", "0" * 32, code=1)
    assert "'mine' is no id of HealthImaging" in desk.run("datastores", "show", "mine", code=2)


def test_the_template_gives_no_more_rights_than_an_import_needs():
    resources = read_template(DEPLOY / "import-resources.yaml")["Resources"]
    role = resources["ImportRole"]["Properties"]
    [trust] = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "medical-imaging.amazonaws.com"}
    assert trust["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    actions = {row["Action"] for row in role["Policies"][0]["PolicyDocument"]["Statement"] if "Action" in row}
    assert actions == {"s3:ListBucket", "s3:GetObject", "s3:PutObject"}
    for name in ("InputBucket", "OutputBucket"):
        assert all(resources[name]["Properties"]["PublicAccessBlockConfiguration"].values())


def test_the_template_passes_its_linter():
    import subprocess
    import sys

    path = Path(sys.executable).with_name("cfn-lint")
    found = subprocess.run([path, DEPLOY / "import-resources.yaml"], capture_output=True, text=True)
    assert found.returncode == 0, found.stdout
