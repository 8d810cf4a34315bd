"""The option of hand-over."""

from __future__ import annotations

from media import formats
from media.config import ProcessConfig
from media.option import Option

HANDOVER_OPTIONS = (
    Option(
        "hand_over",
        "Processes",
        formats.FILE,
        "/run/strep/hand-over",
        "Take over sockets and UDP calls from the process that runs with the same FILE, a Unix socket, if there is "
        "one, without losing a packet; then wait there for the next. Media streams end where they began. "
        "With systemd in place of FILE, UDP calls go on after a restart of the service, which holds the sockets.",
        owner=ProcessConfig,
    ),
)
