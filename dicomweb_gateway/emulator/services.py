"""The parts of one emulator, made together and handed to the routes."""

from dataclasses import dataclass

from dicomweb_gateway.aws.buckets import Buckets
from dicomweb_gateway.emulator.config import EmulatorConfig
from dicomweb_gateway.emulator.counters import Counters
from dicomweb_gateway.emulator.events import Events
from dicomweb_gateway.emulator.ingest.importer import Importer
from dicomweb_gateway.emulator.ingest.places import Places
from dicomweb_gateway.emulator.ingest.storer import Storer
from dicomweb_gateway.emulator.mishaps import Mishaps
from dicomweb_gateway.emulator.reaper import Reaper
from dicomweb_gateway.emulator.storage import Storage


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that a request may need."""

    config: EmulatorConfig
    storage: Storage
    places: Places
    importer: Importer
    storer: Storer
    reaper: Reaper
    mishaps: Mishaps
    counters: Counters
    events: Events

    def close(self) -> None:
        """Stop the threads and give the folder free; an unfinished import goes on at the next start."""
        self.importer.stop()
        self.storer.stop()
        self.reaper.stop()
        self.places.close()
        self.events.stop()
        self.storage.close()


def open_services(config: EmulatorConfig) -> Services:
    """Open the folder, sweep what a crash left there, and start the threads that finish what it interrupted.

    SettingsError when another emulator uses the folder.
    """
    storage = Storage(config.data_dir)
    storage.sweep()
    counters = Counters()
    buckets = Buckets(config.s3_endpoint, config.region) if config.s3_endpoint else None
    places = Places(config.data_dir / "staging", buckets)
    mishaps = Mishaps(config.faults, counters)
    events = Events(config, lambda: mishaps.faults)
    events.start()
    services = Services(
        config=config,
        storage=storage,
        places=places,
        importer=Importer(storage, config, events, places),
        storer=Storer(storage, config, events),
        reaper=Reaper(storage, events),
        mishaps=mishaps,
        counters=counters,
        events=events,
    )
    services.reaper.start()
    services.importer.start()
    return services
