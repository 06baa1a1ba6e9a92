"""What a fetcher needs of the settings, and no more: of the time that replacing one takes most is imports."""

from pathlib import Path

from dicomweb_gateway.frames.config import FetcherConfig
from dicomweb_gateway.imagesets.healthimaging import HealthImaging
from dicomweb_gateway.imagesets.pacing import RateLimits
from dicomweb_gateway.service.cache_claim import host_name
from dicomweb_gateway.service.server_limits import MIN_FREE_BYTES
from dicomweb_gateway.settings import Settings


def frame_folder(settings: Settings) -> Path:
    """Where the frame store lies."""
    return settings.cache_folder / "frames"


def rate_folder(settings: Settings) -> Path:
    """Where the processes of this host keep the rates that they share; other hosts have other clocks."""
    return settings.whole_cache / "rates" / host_name()


def fetcher_config(settings: Settings, number: int) -> FetcherConfig:
    """What fetcher `number` (from 0) is told."""
    return FetcherConfig(
        cache_root=str(frame_folder(settings)),
        cache_max_bytes=settings.frame_store_bytes,
        min_free_bytes=MIN_FREE_BYTES,
        endpoint_url=settings.ahi_endpoint,
        region=settings.ahi_region,
        fetches_in_flight=settings.fetches_in_flight,
        verify=settings.verify_checksums == "always",
        number=number,
        fetchers=settings.fetcher_count,
        checks=settings.cores,
        decode_timeout=settings.decode_timeout,
        decoders=settings.decoder_count,
        frame_rate_limit=settings.frame_rate_limit,
        rate_folder=str(rate_folder(settings)),
    )


def make_image_set_store(settings: Settings) -> HealthImaging:
    """HealthImaging as the settings say; no connection is made yet."""
    limits = RateLimits(settings.frame_rate_limit, settings.metadata_rate_limit, rate_folder(settings))
    return HealthImaging(settings.ahi_endpoint, settings.ahi_region, limits=limits)
