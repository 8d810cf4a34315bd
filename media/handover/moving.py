"""Taking all UDP calls out of a server, and putting them into another one, which goes on with the very next packet.

Media streams stay: their sockets are connections of the process that accepted them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from media.calls import Call, Track
from media.decoding.events import TelephoneEvents
from media.doors.rtp import RtpDoor
from media.doors.strep import StrepDoor
from media.engine import Engine
from media.handover.moved import Moved, MovedCall, MovedReel, MovedTrack
from media.sinks.contract import CallInfo
from media.tapes import TapeFormat
from strep.errors import ConfigurationError
from strep.header import Direction

STREP, RTP = "strep", "rtp"


def take_out(engine: Engine, strep: StrepDoor, rtp: dict[str, RtpDoor]) -> tuple[Moved, Callable[[], None]]:
    """Return the calls of both UDP doors and forget them; what is whole of their audio is handed out before.

    Returns:
        The calls, and what lets sinks finish with them: call it, whatever becomes of the calls, and not before there
        is time for their work.
    """
    engine.poll(engine.now_ns(), at_once=True)
    calls = [call for call in engine.calls.values() if call.info.door in (STREP, RTP)]
    homeless = {track: name for track in engine.homeless() for name, door in rtp.items() if door.has(track)}
    moved = Moved(
        are_announced=strep.guard.mode == "registered",
        announced=list(strep.guard.announced.left(engine.now_ns())),
        held=strep.guard.quarantine.release_all(),
    )
    moved.calls = [_moved_call(call) for call in calls]
    by_reel: dict[TapeFormat, list[Track]] = {}
    for number, tracks in enumerate([*(call.tracks for call in calls), list(homeless)]):
        for track in tracks:
            reel = by_reel.setdefault(track.tape, [])
            index = number if number < len(calls) else None
            moved.tracks.append(_moved_track(engine, track, len(reel), index, homeless.get(track, "")))
            reel.append(track)
    for tape, tracks in by_reel.items():
        moved.reels.append(
            MovedReel(tape, engine.reels.at(tape).timeline.copy_out(*(track.slot for track in tracks)))
        )
    told = [engine.let_go(call) for call in calls]
    for track, name in homeless.items():
        rtp[name].let_go(track)
        engine.close_track(track)

    def tell() -> None:
        for each in told:
            each()

    return moved, tell


def put_in(moved: Moved, engine: Engine, strep: StrepDoor, rtp: dict[str, RtpDoor]) -> None:
    """Go on with what `take_out` returned elsewhere; see `make_room`."""
    make_room(moved, engine, strep, rtp)()


def make_room(moved: Moved, engine: Engine, strep: StrepDoor, rtp: dict[str, RtpDoor]) -> Callable[[], None]:
    """Put the tracks of `moved` on the timelines here; return what goes on with the calls, and cannot fail.

    Raises:
        ConfigurationError: a pair of RTP ports that there is not.
        ValueError: it comes from another version, or does not fit the timelines here.
    """
    pairs = {call.identity["name"] for call in moved.calls if call.door == RTP} | {
        track.pair for track in moved.tracks
    }
    missing = pairs - rtp.keys() - {""}
    if missing:
        raise ConfigurationError(f"rtp: calls of {', '.join(sorted(missing))} go on, for which there are no ports")
    slots = {reel.tape: engine.reels.at(reel.tape).timeline.put_in(reel.tracks) for reel in moved.reels}
    calls = [_call(each) for each in moved.calls]

    def go_on() -> None:
        _go_on(moved, calls, slots, engine, strep, rtp)

    return go_on


def _go_on(
    moved: Moved,
    calls: list[Call],
    slots: dict[TapeFormat, list[int]],
    engine: Engine,
    strep: StrepDoor,
    rtp: dict[str, RtpDoor],
) -> None:
    for call in calls:
        door = None if call.info.door == STREP else rtp[call.info.identity["name"]]
        engine.take_in(call, strep.take_in(call) if door is None else door.forget)
    for each in moved.tracks:
        its_call = calls[each.call] if each.call is not None else None
        track = _track(each, slots[each.tape][each.number], its_call, engine)
        if its_call is not None and its_call.info.door == STREP:
            engine.take_in_track(track, _join_known)
            strep.take_in_track(track, its_call)
        else:
            pair = rtp[its_call.info.identity["name"] if its_call is not None else each.pair]
            engine.take_in_track(track, pair.join)
            pair.take_in(track)
        engine.reels.of(track).payload_types[track.slot, list(each.payload_types)] = list(each.payload_types.values())
        engine.desk.watch(track)
    strep.guard.take_in(moved.announced, moved.held, engine.now_ns(), is_all=moved.are_announced)


def _join_known(track: Track, now_ns: int) -> Call:
    assert track.call is not None
    return track.call


def _moved_call(call: Call) -> MovedCall:
    info = call.info
    return MovedCall(
        call_id=info.call_id,
        door=info.door,
        started_wall_ns=info.started_wall_ns,
        sample_rate_hz=info.sample_rate_hz,
        is_linear=info.is_linear,
        identity=info.identity,
        origin_wall_ns=info.origin_wall_ns,
        pauses=info.pauses,
        told_events=info.told.events,
        started_ns=call.started_ns,
        origin_ns=call.origin_ns,
        last_activity_ns=call.last_activity_ns,
        events=call.events,
        events_dropped=call.events_dropped,
        pressed=info.told.digits.pressed,
    )


def _call(moved: MovedCall) -> Call:
    info = CallInfo(
        index=-1,
        call_id=moved.call_id,
        door=moved.door,
        started_wall_ns=moved.started_wall_ns,
        sample_rate_hz=moved.sample_rate_hz,
        identity=moved.identity,
        is_linear=moved.is_linear,
        origin_wall_ns=moved.origin_wall_ns,
        pauses=moved.pauses,
    )
    info.told.events, info.told.digits.pressed = moved.told_events, moved.pressed
    call = Call(info, moved.started_ns, origin_ns=moved.origin_ns, last_activity_ns=moved.last_activity_ns)
    call.events, call.events_dropped = moved.events, moved.events_dropped
    return call


def _moved_track(engine: Engine, track: Track, number: int, call: int | None, pair: str) -> MovedTrack:
    counts = engine.reels.of(track).payload_types[track.slot]
    return MovedTrack(
        tape=track.tape,
        number=number,
        call=call,
        pair=pair,
        direction=int(track.direction),
        first_arrival_ns=track.first_arrival_ns,
        source=track.source,
        offset_samples=track.offset_samples,
        is_decoded=track.handle != track.slot,
        payload_types={int(kind): int(counts[kind]) for kind in np.flatnonzero(counts)},
        decoder=track.decoder.copy_out() if track.decoder is not None else None,
        keys=track.keys.copy_out() if track.keys is not None else None,
        early_events=track.early_events,
    )


def _track(moved: MovedTrack, slot: int, call: Call | None, engine: Engine) -> Track:
    track = Track(slot, Direction(moved.direction), moved.first_arrival_ns, moved.source, call)
    track.tape, track.offset_samples, track.early_events = moved.tape, moved.offset_samples, moved.early_events
    track.handle = -1 if moved.is_decoded else slot  # the desk gives it one
    if moved.decoder is not None:
        engine.decode(track, moved.decoder.encoding, moved.decoder.clock_hz)
        assert track.decoder is not None
        track.decoder.put_in(moved.decoder)
    if moved.keys is not None:
        track.keys = TelephoneEvents.of(moved.keys)
    return track
