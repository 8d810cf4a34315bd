"""Shell: dials a WebSocket for every call and sends all frames at their deadlines, from one task."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from media.carrier.dialects import DIALECTS
from media.carrier.heard_files import HeardFiles
from media.carrier.link import Link
from media.carrier.options import WebSocketOptions
from media.carrier.pacing import Instant, Pacer
from media.carrier.plan import Plan
from media.carrier.playback import Playback, PlaybackForm
from media.carrier.report import Progress, SendReport
from media.carrier.stream import MediaStream
from media.carrier.stream_call import BREAK, DIAL, END, StreamCall
from strep.clock import NS_PER_MS, NS_PER_SECOND
from strep.errors import ConfigurationError

_SETTLE_NS = NS_PER_SECOND
_TICK_NS = NS_PER_MS
_KEPT_SAMPLES = 32 << 20
"""Of what all callers heard, in memory."""


async def send_plan(
    plan: Plan,
    stream_url: str,
    pacer: Pacer,
    on_progress: Progress | None = None,
    heard_folder: Path | None = None,
) -> SendReport:
    """Send everything in `plan`, a socket for each call, and play what comes back.

    Args:
        plan: of a simulation over WebSocket.
        stream_url: where each call dials.
        pacer: the clock and the waiting.
        on_progress: told how far it is.
        heard_folder: where what each caller heard is written to, as WAV and JSON.

    Raises:
        ConfigurationError: nobody answers at `stream_url`, the upgrade is refused, or `heard_folder` cannot be used.
    """
    try:
        Link.check(stream_url)
    except ValueError as error:
        raise ConfigurationError(f"ws: cannot open {stream_url}: {error}") from error
    report = SendReport(started_ns=pacer.now_ns())
    streams = [MediaStream(plan, call) for call in range(plan.options.calls)]
    report.playbacks = [_playback(plan, stream) for stream in streams]
    calls = [
        StreamCall(stream, playback, stream_url, _headers(plan.options.websocket), pacer, report)
        for stream, playback in zip(streams, report.playbacks, strict=True)
    ]
    files = None if heard_folder is None else HeardFiles(heard_folder, plan)
    try:
        await _keep_time(calls, streams, pacer, report, on_progress, files)
        if not report.failures:
            await asyncio.gather(*(call.wait_finished() for call in calls))
    finally:
        for call in calls:
            call.abort()
        if files is not None:
            files.finish(report.playbacks)
    for call in calls:
        call.raise_failure()
        report.made |= call.made
    return report


async def _keep_time(
    calls: Sequence[StreamCall],
    streams: Sequence[MediaStream],
    pacer: Pacer,
    report: SendReport,
    on_progress: Progress | None,
    files: HeardFiles | None,
) -> None:
    times_ns, numbers, actions = _agenda(streams)
    place, settle_ns = 0, _SETTLE_NS
    while place < len(actions) and not report.failures:
        now_ns = pacer.now_ns() - report.started_ns
        due = int(np.searchsorted(times_ns, now_ns, side="right"))
        for row in range(place, due):
            calls[numbers[row]].do(actions[row])
        if isinstance(pacer, Instant):  # a clock that jumps would have run away when the far end answers
            await asyncio.gather(*(call.wait_dialed() for call in calls))
        if due > place:
            report.record_lateness()
            if on_progress is not None:
                on_progress(report.sent)
        if files is not None and now_ns >= settle_ns:
            files.settle(report.playbacks, now_ns)
            settle_ns = now_ns + _SETTLE_NS
        place = due
        if all(call.is_over for call in calls):
            break
        if place < len(actions):
            # In any case others run: sockets are read, and a call that is late does not hold up the rest.
            # Frames of many calls are due all the time: a wake-up for each would cost more than the frame.
            earliest_ns = 0 if isinstance(pacer, Instant) else now_ns + _TICK_NS
            await pacer.sleep_until(report.started_ns + max(int(times_ns[place]), earliest_ns))
    report.record_lateness()


def _agenda(streams: Sequence[MediaStream]) -> tuple[NDArray[np.int64], list[int], list[int]]:
    """Return what all calls do, in order of time: when, which call, and a frame's row or one of the other actions."""
    times_ns: list[NDArray[np.int64]] = []
    actions: list[NDArray[np.int64]] = []
    for stream in streams:
        rows = np.arange(len(stream))
        start_ns, end_ns = stream.times_ns[:1], stream.times_ns[-1:]
        if stream.gap is None:
            times_ns.append(np.concatenate([start_ns, stream.times_ns, end_ns]))
            actions.append(np.concatenate([[DIAL], rows, [END]]))
        else:
            gap = np.array([stream.gap.start_ns, stream.gap.end_ns])
            broken_at = int(np.searchsorted(stream.times_ns, gap[0]))
            before, after = stream.times_ns[:broken_at], stream.times_ns[broken_at:]
            times_ns.append(np.concatenate([start_ns, before, gap, after, end_ns]))
            actions.append(np.concatenate([[DIAL], rows[:broken_at], [BREAK, DIAL], rows[broken_at:], [END]]))
    numbers = np.repeat(np.arange(len(streams)), [len(part) for part in actions])
    order = np.argsort(np.concatenate(times_ns), kind="stable")
    return np.concatenate(times_ns)[order], numbers[order].tolist(), np.concatenate(actions)[order].tolist()


def _playback(plan: Plan, stream: MediaStream) -> Playback:
    options, call = plan.options.websocket, stream.identity.call
    dialect = DIALECTS[options.dialect]
    form = PlaybackForm(
        mode=options.mode,
        encoding=options.playback_encoding,
        message_ms=dialect.message_ms,
        start_ns=stream.start_ns,
        manners=options.manners,
        seed=plan.options.seed * 1_000_003 + call,
        invalid_code=dialect.invalid_media,
        keep_samples=_KEPT_SAMPLES // plan.options.calls,
    )
    return Playback(dialect.reader(stream.identity, takes_audio=options.takes_audio), form)


def _headers(options: WebSocketOptions) -> dict[str, str]:
    return DIALECTS[options.dialect].headers(options.auth_token)
