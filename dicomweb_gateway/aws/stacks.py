"""CloudFormation stacks: found, made, waited for, deleted."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from dicomweb_gateway.aws.session import service_client
from dicomweb_gateway.errors import ImportTrouble

ROLLED_BACK = "ROLLBACK_COMPLETE"
"""Its making failed, and nothing is left of it but its name."""

_POLL = 2.0
_GONE = "DELETE_COMPLETE"
_MADE = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE")
_UNENDING = "REVIEW_IN_PROGRESS"
"""It waits for somebody to carry out its change set."""


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack as it stands; `reason` says why its status is what it is, where CloudFormation does."""

    name: str
    stack_id: str
    status: str
    reason: str
    tags: Mapping[str, str]
    parameters: Mapping[str, str]
    outputs: Mapping[str, str]

    @property
    def is_going(self) -> bool:
        """Whether CloudFormation is at work on it."""
        return self.status.endswith("_IN_PROGRESS") and self.status != _UNENDING


class Stacks:
    """Stacks of a region; AWS_ENDPOINT_URL_CLOUDFORMATION names another endpoint.

    `told` hears the status at each look. ImportTrouble when something fails.
    """

    def __init__(self, region: str | None, told: Callable[[str], None] = lambda status: None) -> None:
        self._client: Any = service_client("cloudformation", None, region)
        self._told = told

    def close(self) -> None:
        """Leave no connection open."""
        self._client.close()

    def find(self, name: str) -> Stack | None:
        """The stack of that name or id, None when there is none (any more)."""
        try:
            with _told("DescribeStacks"):
                [found] = self._client.describe_stacks(StackName=name)["Stacks"]
        except _Missing:
            return None
        return None if found["StackStatus"] == _GONE else _stack(found)

    def make(self, name: str, template: str, parameters: Mapping[str, str], tags: Mapping[str, str]) -> Stack:
        """A new stack, once it is complete; what is in it bears its `tags`, too."""
        with _told("CreateStack"):
            made = self._client.create_stack(
                StackName=name,
                TemplateBody=template,
                Parameters=[
                    {"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()
                ],
                Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
                Capabilities=["CAPABILITY_IAM"],
            )
        return self.complete(made["StackId"])

    def complete(self, name: str) -> Stack:
        """The stack of that name or id, once it is complete."""
        found = self._settled(name)
        if found is None or found.status not in _MADE:
            status = "gone" if found is None else f"{found.status}: {found.reason or 'its events say why'}"
            raise ImportTrouble(f"the stack {name if found is None else found.name} is {status}")
        return found

    def delete(self, stack_id: str) -> None:
        """Delete the stack of that id; returns when it is gone."""
        if self.find(stack_id) is None:
            return
        with _told("DeleteStack"):
            self._client.delete_stack(StackName=stack_id)
        found = self._settled(stack_id)
        if found is not None:
            why = found.reason or "its events say why"
            raise ImportTrouble(f"the stack {found.name} is {found.status}: {why}")

    def _settled(self, name: str) -> Stack | None:
        while True:
            found = self.find(name)
            self._told("gone" if found is None else found.status)
            if found is None or not found.is_going:
                return found
            time.sleep(_POLL)


def _stack(row: dict[str, Any]) -> Stack:
    return Stack(
        name=row["StackName"],
        stack_id=row["StackId"],
        status=row["StackStatus"],
        reason=row.get("StackStatusReason") or "",
        tags={one["Key"]: one["Value"] for one in row.get("Tags") or ()},
        parameters={one["ParameterKey"]: one["ParameterValue"] for one in row.get("Parameters") or ()},
        outputs={one["OutputKey"]: one["OutputValue"] for one in row.get("Outputs") or ()},
    )


class _Missing(ImportTrouble):
    """There is no such stack: CloudFormation says so with a ValidationError."""


@contextmanager
def _told(operation: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        found = error.response.get("Error") or {}
        kind = _Missing if "does not exist" in (found.get("Message") or "") else ImportTrouble
        told = f"CloudFormation answered {operation} with {found.get('Code')}: {found.get('Message')}"
        raise kind(told) from error
    except (BotoCoreError, ResponseParserError) as error:
        raise ImportTrouble(f"{operation} failed: {type(error).__name__}") from error
