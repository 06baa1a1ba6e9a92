"""CloudFormation stacks: made, waited for, read, deleted."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from dicomweb_gateway.aws.session import service_client
from dicomweb_gateway.errors import ImportTrouble

_POLL = 2.0
_MADE = ("CREATE_COMPLETE", "UPDATE_COMPLETE")
_GOING = ("CREATE_IN_PROGRESS", "DELETE_IN_PROGRESS", "REVIEW_IN_PROGRESS")


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

    def ensure(self, name: str, template: str, parameters: Mapping[str, str]) -> dict[str, str]:
        """The outputs of the stack `name`, made when there is none, once it is complete."""
        if self._status(name) is None:
            rows = [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
            with _told("CreateStack"):
                self._client.create_stack(
                    StackName=name, TemplateBody=template, Parameters=rows, Capabilities=["CAPABILITY_IAM"]
                )
        status = self._settled(name)
        if status not in _MADE:
            raise ImportTrouble(f"the stack {name} is {status or 'gone'}; its events say why")
        with _told("DescribeStacks"):
            [found] = self._client.describe_stacks(StackName=name)["Stacks"]
        return {row["OutputKey"]: row["OutputValue"] for row in found.get("Outputs") or ()}

    def delete(self, name: str) -> None:
        """Delete the stack; returns when it is gone."""
        if self._status(name) is None:
            return
        with _told("DeleteStack"):
            self._client.delete_stack(StackName=name)
        status = self._settled(name)
        if status not in (None, "DELETE_COMPLETE"):
            raise ImportTrouble(f"the stack {name} is {status}; its events say why")

    def _settled(self, name: str) -> str | None:
        while True:
            status = self._status(name)
            self._told(status or "gone")
            if status not in _GOING:
                return status
            time.sleep(_POLL)

    def _status(self, name: str) -> str | None:
        try:
            with _told("DescribeStacks"):
                [found] = self._client.describe_stacks(StackName=name)["Stacks"]
        except _Missing:
            return None
        status: str = found["StackStatus"]
        return None if status == "DELETE_COMPLETE" else status


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
