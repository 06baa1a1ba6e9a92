"""Editing attributes through the whole app, with a real emulator behind it and a real index (4.4)."""

import json
from dataclasses import replace
from gzip import decompress

import pytest

from dicomweb_gateway.access.rules import AccessRules, Rule
from dicomweb_gateway.app import create_app
from tests.emulator.files import ROOT, ct_slice
from tests.emulator.running import running
from tests.routes.test_stow import Gateway
from tests.stow.parts import part10

HOSTILE = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
CHANGE = {"latestVersion": "1", "study": {"StudyDescription": "x"}}


class Edited(Gateway):
    """A gateway whose image sets are edited."""

    def image_set(self, number):
        path = f"/aetitle/studies/{ROOT}.{number}/series/{ROOT}.{number}.1/image-sets"
        return self.client.get(path).json[0]

    def address(self, number):
        one = self.image_set(number)
        return f"/image-sets/{one['datastoreId']}/{one['imageSetId']}/attributes"

    def edit(self, number, version="1", **members):
        return self.client.post(self.address(number), json={"latestVersion": version, **members})

    def described(self, number):
        """What searches and metadata say of the study's description, which must be the same."""
        path = f"/aetitle/studies/{ROOT}.{number}"
        rows = self.client.get(f"/aetitle/studies?StudyInstanceUID={ROOT}.{number}&includefield=all").json
        metadata = self.client.get(f"{path}/metadata").json
        [told] = {one.get("00081030", {}).get("Value", [None])[0] for one in (*rows, *metadata)}
        return told


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    with running(tmp_path_factory.mktemp("upstream"), workers=1) as emulator:
        made = Edited(emulator, tmp_path_factory.mktemp("gateway"))
        for study in (30, 31, 32, 33, 34):
            files = [part10(ct_slice(n, study=study, StudyDescription="Before")) for n in (1, 2)]
            assert made.store(*files).status_code == 200
        yield made


def test_an_edit_is_seen_everywhere_when_it_is_answered(gateway):
    assert gateway.described(30) == "Before"
    one = gateway.image_set(30)
    place = f"/datastore/{one['datastoreId']}/imageSet/{one['imageSetId']}/getImageSetMetadata"
    assert gateway.client.get(place).status_code == 200
    answer = gateway.edit(30, study={"StudyDescription": "After <b>"})
    assert answer.status_code == 200, answer.text
    assert answer.json == {**one, "latestVersion": "2"}
    assert answer.headers["Cache-Control"] == "no-store"
    assert gateway.described(30) == "After <b>"
    hits = gateway.client.get("/aetitle/studies?StudyDescription=After%20%3Cb%3E").json
    assert [row["0020000D"]["Value"] for row in hits] == [[f"{ROOT}.30"]]
    assert gateway.edit(30, "2", study={"StudyDescription": None}).json["latestVersion"] == "3"
    assert gateway.described(30) is None
    latest = json.loads(decompress(gateway.client.get(place).data))
    assert "StudyDescription" not in latest["Study"]["DICOM"]
    line = [json.loads(text) for text in gateway.audit.read_text().splitlines() if "attributes" in text][-1]
    assert (line["event_code"], line["action"], line["outcome"]) == ("110103", "U", 0)
    assert line["attributes"] == ["StudyDescription"]
    assert (line["study"], line["version"], line["new_version"]) == (f"{ROOT}.30", "2", "3")
    assert "After" not in next(
        text for text in gateway.audit.read_text().splitlines() if "new_version" in text
    )


def test_an_old_version_is_a_conflict_and_changes_nothing(gateway):
    for version in ("7", "2"):
        refused = gateway.edit(31, version, study={"StudyDescription": "x"})
        assert refused.status_code == 409, refused.text
    assert gateway.edit(31, study={"AccessionNumber": "A1"}).status_code == 200
    late = gateway.edit(31, "1", study={"AccessionNumber": "A2"})
    assert late.status_code == 409
    assert "that is 2" in late.json["message"]
    assert gateway.described(31) == "Before"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"study": {"StudyInstanceUID": "1.2.3"}}, "StudyInstanceUID says what this is"),
        ({"study": {"StudyID": "1"}}, "with force alone"),
        ({"study": {"StudyInstanceUID": "1.2.3"}, "force": True}, "StudyInstanceUID says what this is"),
        ({**CHANGE, "force": True}, "force is for StudyID alone"),
        ({"study": {"StudyID": "1"}, "force": 1}, "force must be true or false"),
        ({**CHANGE, "revertToVersion": "1"}, "stands alone"),
        ({"revertToVersion": "1"}, "must be earlier"),
        ({"revertToVersion": None, "latestVersion": "2"}, "revertToVersion must name"),
        ({"revertToVersion": "-1", "latestVersion": "2"}, "version must be"),
        ({"study": {"PatientName": "X"}}, "PatientName is no attribute of the study"),
        ({"patient": {"PatientName": "X"}}, "primary"),
        ({"series": {f"{ROOT}.32.1": {"SeriesDescription": "x"}}}, "primary"),
        ({"series": {"1.2.3.4": {"SeriesDescription": "x"}}}, "not in the image set"),
        ({"series": {"x": {}}}, "UIDs"),
        ({"study": {"Nonsense": "x"}}, "keyword of no attribute"),
        ({"study": {"StudyDate": "20260231"}}, "StudyDate is no day"),
        ({"study": {"StudyDescription": "a\\b"}}, "backslash"),
        ({"study": {"StudyDescription": "a\r\nb"}}, "control characters"),
        ({"study": {"StudyDescription": ["x"]}}, "one text or number"),
        ({"study": {"ProcedureCodeSequence": "x"}}, "cannot be changed"),
        ({"study": []}, "study must be a JSON object"),
        ({"study": {}}, "nothing is to be changed"),
        ({**CHANGE, "more": True}, "'more' is none of the members"),
        ({**CHANGE, "latestVersion": None}, "latestVersion must name"),
        ({**CHANGE, "latestVersion": "x"}, "version must be"),
        ({"patient": {"PatientName": "X"}, "includeStudyImageSets": True}, "study alone"),
        ([], "the body must be a JSON object"),
    ],
)
def test_what_cannot_be_changed_is_refused_with_the_reason(gateway, body, reason):
    sent = {"latestVersion": "1", **body} if isinstance(body, dict) else body
    refused = gateway.client.post(gateway.address(32), json=sent)
    assert refused.status_code == 400, refused.text
    assert reason in refused.json["message"]


def test_bodies_of_other_kinds_and_other_machines_are_refused(gateway):
    url, client = gateway.address(32), gateway.client
    assert client.post(url, data="{}").status_code == 415
    assert client.post(url, data="{", content_type="application/json").status_code == 400
    large = {"latestVersion": "1", "study": {"AdditionalPatientHistory": "x" * 10_240}}
    assert client.post(url, json=large).status_code == 413
    assert client.post(url, data=b"x" * (65 << 10), content_type="application/json").status_code == 413
    unknown = url.replace(gateway.image_set(32)["imageSetId"], "0" * 32)
    assert client.post(unknown, json=CHANGE).status_code == 404
    assert client.post(url, data="{}", headers=HOSTILE, content_type="text/plain").status_code == 403
    assert client.post(url, json=CHANGE, environ_base={"REMOTE_ADDR": "10.1.2.3"}).status_code == 404
    assert gateway.described(32) == "Before"


@pytest.mark.parametrize(
    ("rule", "change", "status"),
    [
        ({"operations": ("search", "retrieve", "import")}, {}, 404),
        ({"only": {"Modality": ("MR",)}}, {}, 404),
        ({"data_stores": ("e" * 32,)}, {}, 404),
        ({"only": {"StudyDescription": ("Bef*",)}}, {}, 400),
        ({"only": {"Modality": ("CT",)}}, {"includeStudyImageSets": True}, 400),
    ],
)
def test_rules_say_who_may_edit_what(gateway, rule, change, status):
    made = Rule(**{"operations": ("search", "retrieve", "admin"), **rule})
    rules = AccessRules(gateway.services.config.ae_paths, (made,))
    client = create_app(replace(gateway.services, rules=rules)).test_client()
    assert client.post(gateway.address(33), json={**CHANGE, **change}).status_code == status
    assert gateway.described(33) == "Before"


def test_a_whole_study_is_changed_with_what_is_not_primary(gateway):
    one = gateway.image_set(33)
    copy = gateway.emulator.client.copy_image_set(
        datastoreId=one["datastoreId"],
        sourceImageSetId=one["imageSetId"],
        copyImageSetInformation={"sourceImageSet": {"latestVersionId": "1"}},
    )["destinationImageSetProperties"]["imageSetId"]
    assert gateway.store(part10(ct_slice(3, study=33, StudyDescription="Before"))).status_code == 200
    patient = {"latestVersion": "1", "patient": {"PatientName": "New^Name"}}
    place = f"/image-sets/{one['datastoreId']}/{copy}/attributes"
    # who sees a part is not told by a refusal that another one is primary
    rule = Rule(operations=("search", "retrieve", "admin"), only={"Modality": ("CT",)})
    rules = AccessRules(gateway.services.config.ae_paths, (rule,))
    client = create_app(replace(gateway.services, rules=rules)).test_client()
    refused = [client.post(url, json=patient) for url in (place, gateway.address(33))]
    assert {(one.status_code, "whole data store" in one.json["message"]) for one in refused} == {(400, True)}
    answer = gateway.client.post(place, json=patient)
    assert answer.status_code == 200, answer.text
    properties = gateway.emulator.client.get_image_set(
        datastoreId=one["datastoreId"], imageSetId=one["imageSetId"]
    )
    whole = gateway.edit(
        33,
        properties["versionId"],
        study={"StudyDescription": "Both"},
        includeStudyImageSets=True,
    )
    assert whole.status_code == 200, whole.text
    assert gateway.described(33) == "Both"
    document = gateway.emulator.document(one["datastoreId"], copy, None)
    assert document["Patient"]["DICOM"]["PatientName"] == "New^Name"
    assert document["Study"]["DICOM"]["StudyDescription"] == "Both"


def test_a_study_id_is_changed_by_force_and_an_earlier_version_comes_back(gateway):
    url = f"/aetitle/studies?StudyInstanceUID={ROOT}.34&includefield=StudyID"
    before = gateway.client.get(url).json[0]["00200010"].get("Value")
    forced = gateway.edit(34, study={"StudyID": "NEW-7", "StudyDescription": "After"}, force=True)
    assert (forced.status_code, forced.json["latestVersion"]) == (200, "2"), forced.text
    assert gateway.client.get(url).json[0]["00200010"]["Value"] == ["NEW-7"]
    back = gateway.edit(34, "2", revertToVersion="1")
    assert (back.status_code, back.json["latestVersion"]) == (200, "3"), back.text
    assert gateway.client.get(url).json[0]["00200010"].get("Value") == before
    assert gateway.described(34) == "Before"
    lines = [json.loads(text) for text in gateway.audit.read_text().splitlines() if "new_version" in text]
    assert [line.get("revert_to", line.get("attributes")) for line in lines[-2:]] == [
        ["StudyDescription", "StudyID"],
        "1",
    ]
    assert gateway.edit(34, "2", revertToVersion="1").status_code == 409
    assert gateway.edit(34, "7", revertToVersion="6").status_code == 409


def test_who_sees_a_part_of_the_store_brings_no_version_back(gateway):
    rule = Rule(operations=("search", "retrieve", "admin"), only={"Modality": ("CT",)})
    rules = AccessRules(gateway.services.config.ae_paths, (rule,))
    client = create_app(replace(gateway.services, rules=rules)).test_client()
    refused = client.post(gateway.address(34), json={"latestVersion": "3", "revertToVersion": "1"})
    assert (refused.status_code, "whole data store" in refused.json["message"]) == (400, True)


def test_the_image_sets_of_a_study_are_told(gateway):
    one = gateway.image_set(32)
    assert gateway.client.get(f"/aetitle/studies/{ROOT}.32/image-sets").json == [one]
    assert gateway.client.get("/aetitle/studies/1.2.3/image-sets").status_code == 404


def test_where_nobody_may_store_nobody_may_edit(gateway):
    client = create_app(replace(gateway.services, editing=None)).test_client()
    assert client.post(gateway.address(32), json=CHANGE).status_code == 404
