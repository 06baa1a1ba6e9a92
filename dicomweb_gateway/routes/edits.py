"""Attributes of an image set are changed: for the page Metadata, and for scripts (healthimaging.md 4.4)."""

import time

from flask import Blueprint, Response, request
from werkzeug.exceptions import NotFound

from dicomweb_gateway.access.audit_events import AuditEvent
from dicomweb_gateway.dicom.json_model import dumps
from dicomweb_gateway.errors import EditConflict, InvalidRequest, ResourceNotFound, UpstreamNotFound
from dicomweb_gateway.imagesets.editing import Edit
from dicomweb_gateway.imagesets.metadata import ImageSetDocument
from dicomweb_gateway.imagesets.store import ImageSetRef
from dicomweb_gateway.patience import request_scope
from dicomweb_gateway.sight import Sight
from dicomweb_gateway.wado.archive import Archive
from dicomweb_gateway.web.admin import check_admin
from dicomweb_gateway.web.audited import note, note_event
from dicomweb_gateway.web.edits import parse_edit
from dicomweb_gateway.web.rights import sight_of
from dicomweb_gateway.web.service_ids import check_image_set
from dicomweb_gateway.web.services import services

blueprint = Blueprint("edits", __name__)

_SECONDS = 60.0


@blueprint.post("/image-sets/<datastore_id>/<image_set_id>/attributes")
def edit_image_set(datastore_id: str, image_set_id: str) -> Response:
    """The version that came of the edit; searches and metadata show it when this answers.

    It needs the operation `admin`, not `import`: devices that store must not rewrite what is there. What the
    caller's rules hide cannot be changed, nor what they judge by.
    """
    gateway = services()
    check_admin(request, gateway.config)
    if gateway.editing is None:
        raise NotFound
    edit = parse_edit(request)
    check_image_set(datastore_id, image_set_id)
    sight, archive = sight_of(request), gateway.archive
    _check_sight(sight, datastore_id, edit)
    ref = ImageSetRef(datastore_id, image_set_id)
    document = _document_to_change(archive, ref, edit)
    others = _others(archive, ref, document.study_uid) if edit.whole_study else []
    note_event(request, AuditEvent.INSTANCES_CHANGED, "Attributes")
    told = {"attributes": sorted(edit.keywords)} if edit.keywords else {"revert_to": edit.revert_to}
    note(request, study=document.study_uid, version=edit.latest_version, **told)
    deadline = time.monotonic() + _SECONDS
    # a client that leaves now ends nothing: what is changed must be in the index too
    with request_scope(deadline):
        try:
            version = gateway.editing.apply(ref, edit, others, deadline)
        finally:
            for one in (ref, *others):
                archive.documents.forget(ImageSetRef(one.datastore_id, one.image_set_id))
    note(request, new_version=version)
    made = {"datastoreId": datastore_id, "imageSetId": image_set_id, "latestVersion": version}
    response = Response(dumps(made), content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response


def _check_sight(sight: Sight, datastore_id: str, edit: Edit) -> None:
    """InvalidRequest for an edit that would reach, or move something, beyond what the caller may see."""
    if sight.shows_all_of(datastore_id):
        return
    if edit.whole_study or edit.revert_to:
        name = "includeStudyImageSets" if edit.whole_study else "revertToVersion"
        raise InvalidRequest(f"{name} is for who may see the whole data store")
    if not edit.is_study_only:
        # HealthImaging changes these of what is not primary alone, so another one is there, maybe hidden
        raise InvalidRequest("patient and series are changed by who may see the whole data store")
    judged = {keyword for grant in sight.grants for keyword, _ in grant.wanted}
    for keyword in sorted(judged & edit.keywords):
        raise InvalidRequest(f"{keyword} decides what you may see, so you may not change it")


def _document_to_change(archive: Archive, ref: ImageSetRef, edit: Edit) -> ImageSetDocument:
    """What the version to be changed says; ResourceNotFound where the caller may not see all of it."""
    archive.index.image_set_shown(ref.datastore_id, ref.image_set_id)
    versioned = ImageSetRef(ref.datastore_id, ref.image_set_id, edit.latest_version)
    try:
        document = archive.documents.get(versioned)
    except UpstreamNotFound as error:
        raise EditConflict(f"version {edit.latest_version} of the image set is not there") from error
    if not archive.index.sees_document(document):
        raise ResourceNotFound(f"the index does not know image set {ref.image_set_id}")
    if edit.revert_to:
        _check_earlier(archive, ref, edit.revert_to)
    for uid in edit.series:
        if document.find_series(uid) is None:
            raise InvalidRequest("series names one that is not in the image set")
    return document


def _check_earlier(archive: Archive, ref: ImageSetRef, version: str) -> None:
    """InvalidRequest unless that version of the image set is there."""
    try:
        archive.documents.get(ImageSetRef(ref.datastore_id, ref.image_set_id, version))
    except UpstreamNotFound as error:
        raise InvalidRequest(f"version {version} of the image set is not there") from error


def _others(archive: Archive, ref: ImageSetRef, study_uid: str) -> list[ImageSetRef]:
    """The other image sets of the study in the same data store, without versions."""
    found = {
        ImageSetRef(one.datastore_id, one.image_set_id)
        for one in archive.index.image_sets(study_uid)
        if one.datastore_id == ref.datastore_id
    }
    return sorted(found - {ref}, key=lambda one: one.image_set_id)
