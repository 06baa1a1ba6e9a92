"""Which modalities are pictures of the patient (dicomweb.md R-14)."""

NOT_PICTURES = (
    "SR",
    "PR",
    "SEG",
    "KO",
    "RTSTRUCT",
    "RTPLAN",
    "RTRECORD",
    "RTDOSE",
    "DOC",
    "REG",
    "AU",
    "ECG",
)
"""Modalities that represent a study only when nothing else does (dicomweb.md R-14)."""


def is_picture(modality: str) -> bool:
    """Whether instances of `modality` ("" when unknown) are pictures of the patient (R-14)."""
    return modality not in NOT_PICTURES and not modality.startswith("RT")
