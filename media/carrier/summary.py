"""What the command says at the end: some lines for people, or one JSON object for programs."""

from __future__ import annotations

from typing import Any

from websockets.frames import CloseCode

from media.carrier.heard_table import describe_heard
from media.carrier.options import Transport
from media.carrier.simulation import Outcome

_GOODBYES = (CloseCode.NORMAL_CLOSURE, CloseCode.NO_STATUS_RCVD)
_COUNTERS = ("sent", "delivered", "duplicated", "reordered", "lost")


def describe(outcome: Outcome) -> dict[str, Any]:
    """Return the summary as plain data; times in milliseconds or seconds, as the names say."""
    truth, report = outcome.truth, outcome.report
    return {
        "transport": truth.transport,
        "seed": truth.seed,
        "calls": truth.calls,
        "tracks": len(truth.tracks),
        "audio_seconds": sum(track.total_samples / track.sample_rate_hz for track in truth.tracks),
        **{name: truth.total(name) for name in _COUNTERS},
        "malformed": truth.malformed,
        "lateness": report.lateness.summary(),
        "refused": report.refused,
        "closed_early": report.closed_early,
        "closings": [
            {"code": code, "reason": reason, "calls": calls}
            for (code, reason), calls in sorted(report.closings.items())
        ],
        **({"heard": describe_heard(outcome)} if report.playbacks else {}),
    }


def lines(outcome: Outcome) -> list[str]:
    """Return the summary for people, without line ends."""
    truth, report = outcome.truth, outcome.report
    facts = describe(outcome)
    lateness = facts["lateness"]
    text = [
        f"{_count(truth.calls, 'call')}, {_count(len(truth.tracks), 'track')}, "
        f"{facts['audio_seconds']:.1f} s of audio: {_count(facts['sent'], 'packet')}, {facts['lost']:,} lost, "
        f"{facts['reordered']:,} reordered, {facts['duplicated']:,} duplicated, "
        f"{sum(truth.malformed.values()):,} malformed besides",
        f"sent behind their deadlines by {lateness['p50_ms']:.1f} ms (p50), {lateness['p99_ms']:.1f} ms (p99), "
        f"{lateness['max_ms']:.1f} ms (max)",
    ]
    if report.refused:
        text.append(f"nobody listened: {_count(report.refused, 'datagram')} refused by the far end")
    for (code, reason), calls in sorted(report.closings.items()):
        why = reason or ("without a close frame" if code == CloseCode.ABNORMAL_CLOSURE else "no reason given")
        text.append(f"the far end closed {_count(calls, 'call')} early: {code} {why}")
    return text


def is_in_vain(outcome: Outcome) -> bool:
    """Return whether the far end refused every call, or closed it other than as one says goodbye.

    By UDP only a machine where nobody listens refuses, and it may do so once for several datagrams; so most will do.
    """
    report = outcome.report
    if outcome.truth.transport == Transport.WEBSOCKET:
        bad = sum(calls for (code, _), calls in report.closings.items() if code not in _GOODBYES)
        return bad == outcome.truth.calls
    return report.refused * 2 > report.messages


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
