"""A CloudFormation template, read and resolved as far as tests need it."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms, which become the long ones."""


def _short(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
        value = value.split(".", 1) if suffix == "GetAtt" else value
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short)


def read_template(path: Path) -> dict[str, Any]:
    """The template, short forms made long."""
    template: dict[str, Any] = yaml.load(path.read_text(), Loader=_Loader)
    return template


class Resolver:
    """`parameters` in the place of defaults; `known` says what Ref and GetAtt of resources give."""

    def __init__(
        self, template: dict[str, Any], parameters: Mapping[str, str], known: Mapping[str, str]
    ) -> None:
        self._template = template
        defaults = {name: row.get("Default") for name, row in template["Parameters"].items()}
        pseudo = {"AWS::Region": "eu-west-1", "AWS::Partition": "aws", "AWS::AccountId": "123456789012"}
        pseudo["AWS::StackName"] = "gateway"
        self._values: dict[str, Any] = {**defaults, **pseudo, **parameters, **known}

    def value(self, node: Any) -> Any:
        """`node` with all functions carried out."""
        if isinstance(node, list):
            return [found for one in node if (found := self.value(one)) is not None]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            (name, inner), *_ = node.items()
            found = self._function(name, inner)
            if found is not NotImplemented:
                return found
        pairs = {name: self.value(inner) for name, inner in node.items()}
        return {name: inner for name, inner in pairs.items() if inner is not None}

    def _function(self, name: str, inner: Any) -> Any:
        if name == "Ref":
            return None if inner == "AWS::NoValue" else self._values[inner]
        if name == "Fn::GetAtt":
            return self._values[".".join(inner)]
        if name == "Fn::Sub":
            return re.sub(r"\$\{([\w.:]+)\}", lambda found: str(self._values[found[1]]), inner)
        if name == "Fn::If":
            condition, yes, no = inner
            return self.value(yes if self.holds(condition) else no)
        return NotImplemented

    def holds(self, condition: str) -> bool:
        """Whether the condition of this name does."""
        return self._truth(self._template["Conditions"][condition])

    def _truth(self, node: dict[str, Any]) -> bool:
        ((name, inner),) = node.items()
        if name == "Condition":
            return self.holds(inner)
        if name == "Fn::Equals":
            left, right = map(self.value, inner)
            return bool(str(left) == str(right))
        if name == "Fn::Not":
            return not self._truth(inner[0])
        return all(map(self._truth, inner))
