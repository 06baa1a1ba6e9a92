"""The kinds of addresses below the base path, by the name of the view that answers them (S-2)."""

from dicomweb_gateway.dicom.transfer_syntax import OCTET_STREAM, TRANSFER_SYNTAXES
from dicomweb_gateway.pixels.encode import RENDERED_TYPES
from dicomweb_gateway.web.accept import MULTIPART
from dicomweb_gateway.web.capabilities import Resource
from dicomweb_gateway.web.negotiation import DICOM, DICOM_JSON, DICOM_XML, JSON, ZIP


def _parts(media_type: str) -> str:
    return f'{MULTIPART}; type="{media_type}"'


_DESCRIBED = (DICOM_JSON, JSON, _parts(DICOM_XML))
_FRAME_TYPES = tuple(dict.fromkeys((OCTET_STREAM, *(row.media_type for row in TRANSFER_SYNTAXES.values()))))
_PARTS_OF_FRAMES = tuple(map(_parts, _FRAME_TYPES))
_PAGING = ("limit", "offset", "includefield", "orderby", "fuzzymatching", "emptyvaluematching")
_QUERY = (*_PAGING, "multiplevaluematching")
_RENDER = ("window", "viewport", "quality", "annotation", "iccprofile")

RESOURCES: dict[str, Resource] = {
    "search_studies": Resource("QIDO-RS", "studies that match", _DESCRIBED, _QUERY),
    "search_series": Resource("QIDO-RS", "series that match", _DESCRIBED, _QUERY),
    "search_instances": Resource("QIDO-RS", "instances that match", _DESCRIBED, _QUERY),
    "store_instances": Resource(
        "STOW-RS",
        "what became of the instances in the request",
        (DICOM_JSON, JSON, DICOM_XML),
    ),
    "retrieve_instances": Resource("WADO-RS", "the instances as DICOM files", (_parts(DICOM), ZIP)),
    "retrieve_instance": Resource("WADO-RS", "the instance as a DICOM file", (_parts(DICOM), DICOM)),
    "retrieve_metadata": Resource("WADO-RS", "all attributes, bulk data by reference", _DESCRIBED),
    "retrieve_frames": Resource(
        "WADO-RS",
        "frames, in the order asked",
        (*_PARTS_OF_FRAMES, *_FRAME_TYPES),
        ("startLevel", "endLevel"),
    ),
    "retrieve_instance_pixels": Resource("WADO-RS", "all frames of the instance", _PARTS_OF_FRAMES),
    "retrieve_pixels": Resource("WADO-RS", "all frames of every instance", _PARTS_OF_FRAMES),
    "retrieve_bulk_data": Resource(
        "WADO-RS",
        "the bytes that a BulkDataURI names",
        (_parts(OCTET_STREAM), OCTET_STREAM, "application/pdf"),
    ),
    "retrieve_rendered": Resource(
        "WADO-RS",
        "the image as a picture; videos and documents by their own media types",
        (*RENDERED_TYPES, *map(_parts, RENDERED_TYPES)),
        _RENDER,
    ),
    "retrieve_thumbnail": Resource("WADO-RS", "the image as a small picture", RENDERED_TYPES, ("viewport",)),
    "tell_pixel_levels": Resource(
        "service", "the resolution levels of a frame, and how to show its pixels", (JSON,)
    ),
    "retrieve_pixel_level": Resource(
        "service", "the decoded pixels of one resolution level of a frame", (OCTET_STREAM,)
    ),
    "tell_image_sets": Resource("service", "the image sets that hold the series", (JSON,)),
    "health": Resource("service", "whether the gateway works", ("text/plain",)),
    "tell_capabilities": Resource("service", "this document", (JSON,)),
    "state_conformance": Resource("service", "the DICOM conformance statement", ("text/html",)),
}
"""Every view of a blueprint that stands below the base path; a test keeps it complete and true."""
