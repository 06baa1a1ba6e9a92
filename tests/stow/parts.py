"""Bodies of requests that store, made of small files."""

from io import BytesIO

from pydicom import Dataset

BOUNDARY = "edge"
CONTENT_TYPE = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'


def part10(dataset: Dataset) -> bytes:
    """The bytes of a DICOM file."""
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def framed(*contents: bytes, media_type: str = "application/dicom") -> bytes:
    """A whole body of `contents`."""
    head = f"--{BOUNDARY}\r\nContent-Type: {media_type}\r\n\r\n".encode()
    return b"".join(head + content + b"\r\n" for content in contents) + f"--{BOUNDARY}--\r\n".encode()
