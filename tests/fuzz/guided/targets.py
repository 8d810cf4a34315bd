"""All targets, by name; those first that strangers reach most easily."""

from __future__ import annotations

from tests.fuzz.guided.captures import CAPTURES
from tests.fuzz.guided.datagrams import DATAGRAMS, DOORS
from tests.fuzz.guided.files import FILES
from tests.fuzz.guided.messages import MESSAGES
from tests.fuzz.guided.playback import PLAYBACK
from tests.fuzz.guided.small import SMALL
from tests.fuzz.guided.sockets import EXPRESS, FRAMING, SOCKET

ALL = (SOCKET, MESSAGES, DOORS, EXPRESS, DATAGRAMS, FRAMING, SMALL, PLAYBACK, FILES, CAPTURES)
TARGETS = {target.name: target for target in ALL}
