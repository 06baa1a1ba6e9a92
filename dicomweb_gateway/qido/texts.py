"""Text in the form in which it is stored for matching and looked for (dicomweb.md Q-11)."""

_CONTROLS = dict.fromkeys((*range(32), 127), " ")


def searchable(text: str) -> str:
    """`text` without leading and trailing spaces, control characters counting as spaces.

    DICOM allows no control characters in what is matched. A database that pads with spaces when it compares
    would sort them before the end of a text, where no index range finds them.
    """
    return text.translate(_CONTROLS).strip(" ")
