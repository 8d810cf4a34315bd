"""GStreamer: what does a packet cost that goes through elements, into a WAV file per stream?

::

    udpsrc skip-first-bytes=24 ! rtpssrcdemux ┬ rtpjitterbuffer ! rtppcmudepay ! mulawdec ! wavenc ! filesink
                                              ├ rtpjitterbuffer ! ...
                                              └ ... a branch per SSRC, made when it first shows

One port, one pipeline. GStreamer knows no STREP: `udpsrc` skips its header, and streams are told apart by SSRC, of
which the load has one per stream. So it does more than the decoders (it waits for what is late, and writes files) and
less than we do (no stereo, no leg, no ledger). The libraries are called with ctypes, from a process whose Python does
nothing but make the branches; the packets are counted by asking the sinks what they have written.

Every jitter buffer is a thread. With 600 of them it still takes all packets; with 2,000 it loses nine out of ten at
150 µs each, which says nothing about a packet, hence `Kind.most_legs`.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from ctypes import POINTER, byref, c_char_p, c_int, c_int64, c_uint, c_void_p
from pathlib import Path
from typing import Any

from benchmarks.kernel import RECEIVE_BUFFER_BYTES

_SOURCE = (
    "udpsrc name=source address=127.0.0.1 port=0 skip-first-bytes=24 buffer-size={buffer} "
    'caps="application/x-rtp,media=audio,clock-rate=8000,encoding-name=PCMU,payload=0" ! rtpssrcdemux name=demux'
)
_BRANCH = (
    "rtpjitterbuffer latency=60 ! rtppcmudepay ! mulawdec ! wavenc ! filesink name=file sync=false async=false "
    'location="{path}"'
)
"""60 ms is how long the server waits; ``sync=false``, as it writes what it has."""
WAV_HEADER_BYTES = 44
BYTES_PER_PACKET = 320
_NULL, _PLAYING = 1, 4
_FORMAT_BYTES = 2
_EOS, _ERROR = 1 << 0, 1 << 1
_EOS_TIMEOUT_NS = 60_000_000_000
_PAD_ADDED = ctypes.CFUNCTYPE(None, c_void_p, c_uint, c_void_p, c_void_p)


class Libraries:
    """The functions of GStreamer that are used, with their types."""

    def __init__(self) -> None:
        """Load, and start GStreamer.

        Raises:
            OSError: it is not installed.
        """
        gst, gobject = ctypes.CDLL("libgstreamer-1.0.so.0"), ctypes.CDLL("libgobject-2.0.so.0")
        pointer = c_void_p
        self.parse = _typed(gst.gst_parse_launch, pointer, c_char_p, pointer)
        self.parse_bin = _typed(gst.gst_parse_bin_from_description, pointer, c_char_p, c_int, pointer)
        self.by_name = _typed(gst.gst_bin_get_by_name, pointer, pointer, c_char_p)
        self.add = _typed(gst.gst_bin_add, c_int, pointer, pointer)
        self.set_state = _typed(gst.gst_element_set_state, c_int, pointer, c_int)
        self.sync_state = _typed(gst.gst_element_sync_state_with_parent, c_int, pointer)
        self.get_state = _typed(gst.gst_element_get_state, c_int, pointer, pointer, pointer, ctypes.c_uint64)
        self.static_pad = _typed(gst.gst_element_get_static_pad, pointer, pointer, c_char_p)
        self.link = _typed(gst.gst_pad_link, c_int, pointer, pointer)
        self.send_event = _typed(gst.gst_element_send_event, c_int, pointer, pointer)
        self.new_eos = _typed(gst.gst_event_new_eos, pointer)
        self.bus = _typed(gst.gst_element_get_bus, pointer, pointer)
        self.wait = _typed(gst.gst_bus_timed_pop_filtered, pointer, pointer, ctypes.c_uint64, c_int)
        self.position = _typed(gst.gst_pad_query_position, c_int, pointer, c_int, POINTER(c_int64))
        self.connect = _typed(
            gobject.g_signal_connect_data, ctypes.c_ulong, pointer, c_char_p, _PAD_ADDED, pointer, pointer, c_int
        )
        gobject.g_object_get.restype = None
        self._get = gobject.g_object_get
        _typed(gst.gst_init, None, pointer, pointer)(None, None)

    def integer(self, instance: int, name: bytes) -> int:
        """Return a property of an object."""
        value = c_int(0)
        self._get(c_void_p(instance), c_char_p(name), byref(value), c_void_p(None))
        return value.value


def _typed(function: Any, result: Any, *arguments: Any) -> Callable[..., Any]:
    function.restype, function.argtypes = result, arguments
    typed: Callable[..., Any] = function
    return typed


class GStreamer:
    """The pipeline, in threads of its own."""

    def __init__(self, argument: str, directory: Path) -> None:
        """Record into `directory`."""
        self._gst = Libraries()
        self._directory = directory
        self._stopping = threading.Event()
        self._sinks: list[int] = []
        self._on_pad = _PAD_ADDED(self._add_branch)
        self._received = 0
        self._pipeline = int(self._gst.parse(_SOURCE.format(buffer=RECEIVE_BUFFER_BYTES).encode(), None))

    def run(self, ready: Callable[[int], None]) -> None:
        """Receive until `stop`, then finish all files."""
        gst = self._gst
        demux, source = (gst.by_name(self._pipeline, name) for name in (b"demux", b"source"))
        gst.connect(demux, b"new-ssrc-pad", self._on_pad, None, None, 0)
        gst.set_state(self._pipeline, _PLAYING)
        gst.get_state(self._pipeline, None, None, 5_000_000_000)
        ready(gst.integer(source, b"port"))
        self._stopping.wait()
        self._received = self.received()
        gst.send_event(source, gst.new_eos())
        gst.wait(gst.bus(self._pipeline), _EOS_TIMEOUT_NS, _EOS | _ERROR)
        gst.set_state(self._pipeline, _NULL)

    def _add_branch(self, demux: int, ssrc: int, pad: int, data: int) -> None:
        gst, path = self._gst, self._directory / f"{ssrc}.wav"
        branch = gst.parse_bin(_BRANCH.format(path=path).encode(), 1, None)
        self._sinks.append(gst.static_pad(gst.by_name(branch, b"file"), b"sink"))
        gst.add(self._pipeline, branch)
        gst.sync_state(branch)
        gst.link(pad, gst.static_pad(branch, b"sink"))

    def stop(self) -> None:
        """End `run`."""
        self._stopping.set()

    def received(self) -> int:
        """Return the packets that have come out at the end."""
        if self._received:  # at the end, the position is that of the header, which is written again
            return self._received
        total, position = 0, c_int64(0)
        for pad in list(self._sinks):
            if self._gst.position(pad, _FORMAT_BYTES, byref(position)):
                total += max(position.value - WAV_HEADER_BYTES, 0)
        return total // BYTES_PER_PACKET

    def evidence(self) -> dict[str, Any]:
        """Return the total; the rest of the evidence is in the files."""
        return {"received": self._received}
