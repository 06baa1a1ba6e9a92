"""Rules as JSON and as text: what fits, what does not, and that they can be sent back as they are read."""

from dataclasses import asdict

import pytest

from dicomweb_gateway.emulator.fault_rules import KINDS, FaultRule, rule_of, rule_of_text


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_needs_no_more_than_its_name_and_can_be_sent_back(kind):
    rule = rule_of({"kind": kind})
    assert rule.rate == 1
    assert rule_of(asdict(rule)) == rule


@pytest.mark.parametrize(
    ("text", "members"),
    [
        ("hang", {"kind": "hang"}),
        ("drop,at=headers,rate=0.05", {"kind": "drop", "at": "headers", "rate": 0.05}),
        (
            "error,status=503,calls=4,seconds=2,operations=GetImageFrame+GetImageSet,key=AKID",
            {
                "kind": "error",
                "status": 503,
                "calls": 4,
                "seconds": 2,
                "operations": ["GetImageFrame", "GetImageSet"],
                "key": "AKID",
            },
        ),
        ("slow,bytes_per_second=500", {"kind": "slow", "bytes_per_second": 500}),
    ],
)
def test_text_and_json_say_the_same(text, members):
    assert rule_of_text(text) == rule_of(members)


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({}, "an object with a kind"),
        ({"kind": "nonsense"}, "no such kind"),
        ({"kind": "drop", "rate": 0}, "rate"),
        ({"kind": "drop", "rate": True}, "rate has a value of the wrong kind"),
        ({"kind": "drop", "at": "tail"}, "at must be one of"),
        ({"kind": "drop", "bits": 2}, "drop has no parameter bits"),
        ({"kind": "drop", "when": 2}, "drop has no parameter when"),
        ({"kind": "error", "status": 404}, "status must be one of"),
        ({"kind": "error", "calls": 1.5}, "calls has a value of the wrong kind"),
        ({"kind": "error", "operations": "GetImageFrame"}, "operations has a value"),
        ({"kind": "slow", "bytes_per_second": 0}, "must be positive"),
        ({"kind": "late", "wait": -1}, "wait must not be negative"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_reason(members, reason):
    with pytest.raises(ValueError, match=reason):
        rule_of(members)


@pytest.mark.parametrize("text", ["drop,half", "drop,rate=many", "", "error,calls=1.5"])
def test_text_that_is_no_rule_is_refused(text):
    with pytest.raises(ValueError, match=r"form|number|kind"):
        rule_of_text(text)


def test_a_rule_concerns_its_operations_and_its_key():
    rule = FaultRule(kind="error", operations=("GetImageFrame",), key="A")
    assert rule.concerns("GetImageFrame", "A")
    assert not rule.concerns("GetImageFrame", None)
    assert not rule.concerns("GetImageSet", "A")
    assert FaultRule(kind="error").concerns("GetImageSet", None)
