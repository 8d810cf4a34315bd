"""The contenders: receivers of the same load, each made by a class or a function, with the members of `Contender`."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast


class Contender(Protocol):
    """A receiver that runs in the main thread of a process of its own."""

    def run(self, ready: Callable[[int], None]) -> None:
        """Receive until `stop`; call `ready` with the port as soon as it is bound."""

    def stop(self) -> None:
        """Let `run` finish its work and return; called from another thread."""

    def received(self) -> int:
        """Return the datagrams taken from the kernel so far; called from another thread."""

    def evidence(self) -> dict[str, Any]:
        """Return what the referee asks for, as JSON values; called after `run`."""


class Kind(NamedTuple):
    """A contender on the list.

    Attributes:
        label: what it is, for tables.
        does: what is done with a packet.
        place: ``module:factory`` below this package, and its argument.
        needs: keys of `benchmarks.contenders.installed.NEEDS`; what is missing here cannot be measured here.
        most_legs: it is not asked to take more calls at once; None is any number.
    """

    label: str
    does: str
    place: str
    argument: str = ""
    needs: tuple[str, ...] = ()
    most_legs: int | None = None


_DECODES = "parse, demultiplex, decode"
_FILES = "demultiplex, jitter buffer, decode, a mono WAV file per stream"
_SAMPLE_APP = "order, statistics, decode, a mono WAV file per stream"
_RECORDS = "the whole path to files and sidecars"

CONTENDERS = {
    "prefilled": Kind("bare recvmmsg, queue pre-filled", "drop the payload", "floor:Prefilled"),
    "floor": Kind("bare recvmmsg every 5 ms", "drop the payload", "floor:Clocked"),
    "recording": Kind("strep, recording PCM16", _RECORDS, "recording:of_packets", "pcm16"),
    "passthrough": Kind("strep, recording passthrough", _RECORDS, "recording:of_packets", "passthrough"),
    "go": Kind("Go net, pion/rtp", _DECODES, "programs:Go", "receive_pion.go", ("go", "pion")),
    "uvloop": Kind("uvloop DatagramProtocol", _DECODES, "per_packet:ProtocolContender", "uvloop", ("uvloop",)),
    "uvloop-dgram": Kind("asyncio-dgram on uvloop", _DECODES, "per_packet:DgramContender", "uvloop", ("uvloop",)),
    "node": Kind("Node dgram", _DECODES, "programs:Node", "receive_dgram.js", ("node",)),
    "asyncio": Kind("asyncio DatagramProtocol", _DECODES, "per_packet:ProtocolContender", "asyncio"),
    "asyncio-heap": Kind(
        "asyncio DatagramProtocol, heap kept", _DECODES, "per_packet:KeptHeapContender", "asyncio", ("glibc",)
    ),
    "app-uvloop": Kind("sample app, recording, uvloop", _SAMPLE_APP, "sample_app:SampleApp", "uvloop", ("uvloop",)),
    "app-asyncio": Kind("sample app, recording, asyncio", _SAMPLE_APP, "sample_app:SampleApp", "asyncio"),
    "asyncio-dgram": Kind("asyncio-dgram on asyncio", _DECODES, "per_packet:DgramContender", "asyncio"),
    "aiortc": Kind("aiortc RtpPacket on asyncio", _DECODES, "aiortc_rtp:RtpPacketContender", "asyncio", ("aiortc",)),
    "gstreamer": Kind("GStreamer", _FILES, "gstreamer:GStreamer", "", ("gstreamer",), 300),
}
"""By name, in the order of the tables."""

FLOOR, OURS = "floor", "recording"
"""What ratios are taken to."""
RECORDING = ("recording", "passthrough")
WRITING = ("gstreamer", "app-uvloop", "app-asyncio")
"""Those that leave a mono file per stream."""


def missing(name: str) -> str:
    """Return how to install what the contender `name` needs and this machine has not; empty if it has everything."""
    from benchmarks.contenders.installed import missing_of

    return missing_of(CONTENDERS[name].needs)


def create(name: str, directory: Path) -> Contender:
    """Return the contender `name`, which may leave files in `directory`."""
    module, attribute = CONTENDERS[name].place.split(":")
    factory = getattr(import_module(f"benchmarks.contenders.{module}"), attribute)
    return cast("Contender", factory(CONTENDERS[name].argument, directory))
