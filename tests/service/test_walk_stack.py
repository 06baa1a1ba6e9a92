"""Stacks in moto's CloudFormation: a walk's own, which it deletes, and those of others, which it leaves."""

import boto3
import pytest

from dicomweb_gateway.aws import stacks as module
from dicomweb_gateway.errors import ImportTrouble
from dicomweb_gateway.service.walk_stack import OWNER, WalkStack
from dicomweb_gateway.service.walk_state import WalkState
from dicomweb_gateway.settings import load_settings
from tests.buckets import aws_server, buckets

__all__ = ["aws_server", "buckets"]

STORE = "0" * 32
TOPIC = "Resources: {Topic: {Type: AWS::SNS::Topic}}"

pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse")


class Guide:
    """Agrees or not, and hears what is said."""

    def __init__(self, agrees=False):
        self.agrees, self.said, self.asked = agrees, [], []

    def say(self, text=""):
        self.said.append(text)

    def agree(self, question, default):
        self.asked.append(question)
        return self.agrees


@pytest.fixture
def settings(aws_server, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDFORMATION", aws_server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    monkeypatch.setattr(module, "_POLL", 0.01)
    return load_settings({"ahi_region": "us-east-1", "s3_endpoint": aws_server})


@pytest.fixture
def client(aws_server, settings):
    made = boto3.client("cloudformation", endpoint_url=aws_server, region_name="us-east-1")
    yield made
    made.close()


@pytest.fixture
def walk_stack(settings):
    made = []

    def make(name, guide=None, state=None):
        made.append(WalkStack(settings, guide or Guide(), state or WalkState(stack=name)))
        return made[-1]

    yield make
    for one in made:
        one.close()


def provide(stack, is_existing=None, datastore_id=STORE):
    stack.provide(is_existing, lambda: {"DatastoreId": datastore_id})


def stacks_of(client):
    return {row["StackName"] for row in client.describe_stacks()["Stacks"]}


def buckets_of(buckets):
    return {row["Name"] for row in buckets._client.list_buckets()["Buckets"]}


def test_a_stack_of_its_own_goes_with_all_that_is_in_it(walk_stack, client, buckets):
    state = WalkState(stack="own")
    first = walk_stack("own", state=state)
    provide(first)
    assert (state.made_stack, state.stack_store, state.datastore_id) == (True, False, STORE)
    assert state.role_arn.startswith("arn:aws:iam::")
    buckets.put(state.output_bucket, "logs/1", b"1")
    # broken off before it was noted, it is known by its tag
    again = WalkState(stack="own", token=state.token)
    guide = Guide()
    second = walk_stack("own", guide, again)
    provide(second)
    assert again == state
    assert guide.asked == []
    second.remove()
    assert f"Emptied {state.output_bucket} of 1 objects" in guide.said
    assert guide.said[-1] == "Stack own: gone"
    assert "own" not in stacks_of(client)
    assert not buckets_of(buckets) & {state.bucket, state.output_bucket}
    second.remove()


def test_a_stack_of_somebody_else_is_used_only_when_that_is_said(walk_stack, client, buckets):
    state = WalkState(stack="theirs")
    provide(walk_stack("theirs", state=state))
    for is_existing, asks in ((None, 1), (False, 0)):
        guide = Guide()
        with pytest.raises(ImportTrouble, match="say --existing to use this one, which is not deleted"):
            provide(walk_stack("theirs", guide), is_existing)
        assert len(guide.asked) == asks
    for guide, is_existing in ((Guide(agrees=True), None), (Guide(), True)):
        user = WalkState(stack="theirs")
        used = walk_stack("theirs", guide, user)
        provide(used, is_existing)
        assert (user.made_stack, user.stack_store, user.bucket) == (False, False, state.bucket)
        # however it comes to be called
        with pytest.raises(ImportTrouble, match="does not bear this walk's tag"):
            used.remove()
    assert "theirs" in stacks_of(client)
    assert state.bucket in buckets_of(buckets)


def test_a_stack_that_is_none_for_imports_is_said(walk_stack, client):
    client.create_stack(StackName="topic", TemplateBody=TOPIC, Tags=[{"Key": OWNER, "Value": "other"}])
    with pytest.raises(ImportTrouble, match="the stack topic is not one for imports: no output DatastoreID"):
        provide(walk_stack("topic"), is_existing=True)
    with pytest.raises(ImportTrouble, match="there is no stack nothing"):
        provide(walk_stack("nothing"), is_existing=True)


def test_a_stack_that_took_the_name_of_the_walks_own_stays(walk_stack, client):
    state = WalkState(stack="name")
    own = walk_stack("name", state=state)
    provide(own)
    client.delete_stack(StackName="name")
    client.create_stack(StackName="name", TemplateBody=TOPIC)
    own.remove()
    assert "name" in stacks_of(client)
