"""DICOM JSON of studies and series that was parsed before: lists of them are asked for again and again."""

import orjson

from dicomweb_gateway.dicom.json_model import JsonObject

MOST_CHARACTERS = 1 << 20
"""Text in one of the two generations of a process; parsed, it takes some eight times as much memory."""

_LARGEST = 1 << 16


class ParsedTexts:
    """Parsed texts, the younger ones of them; nobody may change what is given out.

    The text itself is the key, so a row that changed is never answered as it was. Any number of threads may
    ask: what two of them keep at once is counted twice, which only makes a generation shorter.
    """

    def __init__(self, most_characters: int = MOST_CHARACTERS) -> None:
        self._most = most_characters
        self._young: dict[str, JsonObject] = {}
        self._old: dict[str, JsonObject] = {}
        self._characters = 0

    def __call__(self, text: str) -> JsonObject:
        """`text` parsed."""
        found = self._young.get(text)
        return self._kept(text) if found is None else found

    def _kept(self, text: str) -> JsonObject:
        old = self._old.get(text)
        found: JsonObject = orjson.loads(text) if old is None else old
        if len(text) > _LARGEST:
            return found
        if self._characters + len(text) > self._most:
            self._old, self._young, self._characters = self._young, {}, 0
        self._young[text] = found
        self._characters += len(text)
        return found
