"""What a server is fitted with to deliver recordings, as configured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from media.config import ServerConfig
from media.delivery.companion import Deliveries
from media.delivery.settings import DeliverySettings
from media.delivery.stores import require_client
from media.events.bus import EventBus
from media.sinks.finished import FileFormat, Finished
from strep.clock import Clock
from strep.errors import ConfigurationError


def deliveries_of(config: ServerConfig, bus: EventBus, clock: Clock) -> list[Deliveries]:
    """Return what delivers the recordings of each directory of them.

    Raises:
        ConfigurationError: what is configured cannot be done.
    """
    directories = dict.fromkeys(filter(None, (config.record, config.takes)))
    if config.deliver_to and not directories:
        raise ConfigurationError("deliver_to: there are no recordings to deliver; give record as well, a directory")
    if config.deliver_keep_local == "off" and not config.deliver_to:
        raise ConfigurationError("deliver_keep_local is off, and recordings are delivered nowhere; give deliver_to")
    if config.deliver_to:
        require_client(config.deliver_to)
    return [
        Deliveries(
            "delivery" if directory == config.record else "delivery of takes",
            DeliverySettings(
                str(directory),
                cast(tuple[FileFormat, ...], config.deliver_format),
                config.deliver_to,
                config.deliver_key,
                config.deliver_keep_local == "on",
                config.deliver_at_once,
                str(next(iter(directories))),
            ),
            bus,
            clock,
        )
        for directory in directories
    ]


def taking(deliveries: Sequence[Deliveries]) -> Finished | None:
    """Return what gives a recording to the one of `deliveries` whose directory it is in; None if there is none."""
    by_directory = {one.directory: one for one in deliveries}
    if not by_directory:
        return None
    return lambda recording: by_directory[recording.path.parent].take(recording)
