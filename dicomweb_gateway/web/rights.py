"""Which operation each view is, and what the caller of a request may see of it."""

from dataclasses import dataclass

from flask import Flask, Request

from dicomweb_gateway.access.operations import Operation
from dicomweb_gateway.sight import NOTHING, Sight

SIGHT = "dicomweb_gateway.sight"
"""In the WSGI environment: what the caller may see, once that is decided."""

RETRIEVAL_SIGHT = "dicomweb_gateway.retrieval_sight"
"""In the WSGI environment: what who imports may retrieve."""

PLACE = "dicomweb_gateway.place"
"""In the WSGI environment: where the request goes (Place)."""

OPERATIONS: dict[str, Operation] = {
    "search_studies": Operation.SEARCH,
    "search_series": Operation.SEARCH,
    "search_instances": Operation.SEARCH,
    "store_instances": Operation.IMPORT,
    "retrieve_instances": Operation.RETRIEVE,
    "retrieve_instance": Operation.RETRIEVE,
    "retrieve_metadata": Operation.RETRIEVE,
    "retrieve_frames": Operation.RETRIEVE,
    "retrieve_instance_pixels": Operation.RETRIEVE,
    "retrieve_pixels": Operation.RETRIEVE,
    "retrieve_bulk_data": Operation.RETRIEVE,
    "tell_image_sets": Operation.RETRIEVE,
    "tell_pixel_levels": Operation.RETRIEVE,
    "retrieve_pixel_level": Operation.RETRIEVE,
    "retrieve_rendered": Operation.RENDERED,
    "retrieve_thumbnail": Operation.RENDERED,
    "get_image_frame": Operation.TLM,
    "get_image_set_metadata": Operation.RETRIEVE,
    "get_image_set": Operation.RETRIEVE,
    "search_image_sets": Operation.SEARCH,
    "frame_options": Operation.PUBLIC,
    "image_set_options": Operation.PUBLIC,
    "search_options": Operation.PUBLIC,
    "tell_capabilities": Operation.ENTER,
    "state_conformance": Operation.ENTER,
    # devices that may import must not rewrite what is there
    "edit_image_set": Operation.ADMIN,
    "tell_metrics": Operation.ADMIN,
    "show_status": Operation.ADMIN,
    "home": Operation.PUBLIC,
    # what a page needs stands in web/pages.py
    "show_page": Operation.ENTER,
    "tell_session": Operation.ENTER,
    "tell_dictionary": Operation.PUBLIC,
    "send_static": Operation.PUBLIC,
    # who comes by these is not known yet; each proves by itself that its own browser asks
    "ask_login": Operation.PUBLIC,
    "log_in": Operation.PUBLIC,
    "begin_login": Operation.PUBLIC,
    "finish_login": Operation.PUBLIC,
    "log_out": Operation.PUBLIC,
    # what it gives is bound to what its session's caller may see
    "give_ticket": Operation.ENTER,
    # files that are the same at every site, and where to log in
    "view": Operation.PUBLIC,
    "configure_viewer": Operation.PUBLIC,
    "tell_signed_out": Operation.PUBLIC,
    "health": Operation.PUBLIC,
    "healthcheck": Operation.PUBLIC,
}
"""By the name of the view. A view that is not in it keeps the app from being made: no door without a lock."""


BODY_BYTES: dict[str, int] = {
    # JSON with ids, levels or criteria; all others take what MAX_BODY_BYTES says
    "get_image_frame": 64 << 10,
    "get_image_set_metadata": 64 << 10,
    "get_image_set": 64 << 10,
    "search_image_sets": 64 << 10,
    "edit_image_set": 64 << 10,
    "give_ticket": 4 << 10,
}
"""By the name of the view how large the body of its requests may be, where that is less than the setting."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request goes: the base path it is below, None outside all, and what it is to do.

    `body_bytes`: how large its body may be, None where the setting alone says it.
    """

    ae_path: str | None
    operation: Operation
    body_bytes: int | None = None

    def is_open(self, method: str) -> bool:
        """Whether a request of `method` needs no login: for what shows nothing, and for preflights."""
        return self.operation is Operation.PUBLIC or method == "OPTIONS"


NOWHERE = Place(None, Operation.ENTER)
"""An address or a method that no view has: only who is known learns that."""


def places(app: Flask, ae_paths: tuple[str, ...]) -> dict[str, Place]:
    """By endpoint the place of every view of `app`; LookupError names a view without an operation."""
    found = {}
    for rule in app.url_map.iter_rules():
        view = rule.endpoint.rpartition(".")[2]
        if view not in OPERATIONS:
            raise LookupError(f"nobody has decided who may call the view {rule.endpoint}")
        # the longest: one base path may begin as another does
        below = [path for path in ae_paths if rule.rule == path or rule.rule.startswith(f"{path}/")]
        path = max(below, key=len, default=None)
        found[rule.endpoint] = Place(path, OPERATIONS[view], BODY_BYTES.get(view))
    return found


def sight_of(request: Request) -> Sight:
    """What the caller may see; nothing before that is decided."""
    sight: Sight = request.environ.get(SIGHT, NOTHING)
    return sight


def retrieval_sight_of(request: Request) -> Sight:
    """What a caller who imports may retrieve: they are told of nothing else."""
    sight: Sight = request.environ.get(RETRIEVAL_SIGHT, NOTHING)
    return sight
