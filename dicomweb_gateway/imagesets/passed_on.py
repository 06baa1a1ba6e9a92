"""Calls whose answers go through as HealthImaging wrote them: GetImageSet and SearchImageSets (7.2)."""

from collections.abc import Mapping
from urllib.parse import quote, urlencode

from dicomweb_gateway.imagesets.direct import Call, DirectClient
from dicomweb_gateway.imagesets.retries import Persistence
from dicomweb_gateway.imagesets.store import ImageSetRef
from dicomweb_gateway.imagesets.tally import Tally

_PATIENCE = 20.0
_MOST_BYTES = 16 << 20
_OPERATIONS = ("GetImageSet", "SearchImageSets")


class PassedOn:
    """Bodies in HealthImaging's own JSON (healthimaging.md 1.3); raises the UpstreamError that fits."""

    def __init__(self, direct: DirectClient, tally: Tally, busy_seconds: float) -> None:
        self._direct = direct
        self._calls = {
            name: Persistence(name, _any_rate, tally, busy_seconds, _PATIENCE) for name in _OPERATIONS
        }

    def image_set(self, ref: ImageSetRef, deadline: float | None = None) -> bytes:
        """Properties of an image set, at its latest version where `ref` names none."""
        query = "" if ref.version_id is None else f"version={quote(ref.version_id, safe='-._~')}"
        call = Call("GetImageSet", ref.datastore_id, ref.image_set_id, query, limit=_MOST_BYTES)
        return self._run(call, ref.image_set_id, deadline)

    def search(
        self, datastore_id: str, criteria: bytes, query: Mapping[str, str], deadline: float | None = None
    ) -> bytes:
        """One page of image sets that meet `criteria`, a JSON object; `query`: maxResults and nextToken."""
        written = urlencode(sorted(query.items()), quote_via=quote, safe="-._~")
        call = Call("SearchImageSets", datastore_id, None, written, criteria, _MOST_BYTES)
        return self._run(call, datastore_id, deadline)

    def _run(self, call: Call, thing: str, deadline: float | None) -> bytes:
        return self._calls[call.operation].run(
            lambda: self._direct.send(call, deadline).body, call.datastore_id, thing, deadline
        )


def _any_rate(_: str) -> None:
    """These are so few that their rate needs no limit of ours."""
