"""The settings of processes, and of how much they do at once."""

import os

from pydantic import Field
from pydantic_settings import BaseSettings


def _cores() -> int:
    return len(os.sched_getaffinity(0))


class ProcessSettings(BaseSettings):
    """How many processes, threads and calls there are."""

    web_processes: int | None = Field(default=None, ge=1, le=256)
    """Web processes; unset: one per core, at most 8."""
    web_threads: int = Field(default=64, ge=4, le=1024)
    """Worker threads of each web process; metadata take three eighths of them at most."""
    max_streams: int | None = Field(default=None, ge=1, le=65536)
    """Answers over 1 MB that are made while they go out, of each web process; unset: two per web thread."""
    fetcher_processes: int | None = Field(default=None, ge=1, le=64)
    """Frame fetchers; unset: 1 up to two cores, else 2."""
    fetches_in_flight: int = Field(default=32, ge=1, le=512)
    """GetImageFrame requests that one fetcher has under way at most."""
    frame_rate_limit: float = Field(default=950, ge=0)
    """GetImageFrame calls a second to one data store, over all processes of a host; 0 for any number."""
    metadata_rate_limit: float = Field(default=45, ge=0)
    """GetImageSetMetadata calls a second to one data store, likewise; AHI's quota is 50. 0: any."""
    decode_timeout: float = Field(default=30, ge=1, le=3600)
    """Seconds that decoding one frame may take before its decoder process is killed."""

    @property
    def web_process_count(self) -> int:
        """Web processes to fork."""
        return self.web_processes or min(8, _cores())

    @property
    def cores(self) -> int:
        """Processor cores that this gateway may use."""
        return _cores()

    @property
    def decoder_count(self) -> int:
        """Decoder processes beside each web process and fetcher; two at least, so that one may hang."""
        return max(2, _cores() // self.web_process_count)

    @property
    def stream_count(self) -> int:
        """Long answers that one web process has under way at most."""
        return self.max_streams or 2 * self.web_threads

    @property
    def fetcher_count(self) -> int:
        """Frame fetchers to fork."""
        return self.fetcher_processes or (1 if _cores() <= 2 else 2)
