"""Shell: ``strep simulate``, the simulated carrier on the command line."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING, Any

import click
import msgspec

from media.carrier import parameters
from media.carrier.audio import CONVERSATION
from media.carrier.faults import Faults
from media.carrier.heard_table import show_heard
from media.carrier.network import NetworkModel
from media.carrier.options import BLeg, SimulationOptions, Transport
from media.carrier.process import allow_descriptors, progress_bar
from media.carrier.simulation import Outcome, Simulation, Target
from media.carrier.stream_flags import encoding, stream_flags, stream_options
from media.carrier.summary import describe, is_in_vain, lines
from media.codecs.encoding import NAMES
from media.runtime import loop_factory
from strep.clock import NS_PER_SECOND
from strep.errors import ConfigurationError

if TYPE_CHECKING:
    from media.carrier.announcing import Announcer

_MOST_IDS = 1_000_000
PRESS_STEP_NS = NS_PER_SECOND // 4
"""From one key to the next of those that are pressed one after the other."""
EPILOG = """\b
Examples:
  One conversation, as a carrier forks it to one address:
    strep simulate --udp 127.0.0.1:9000
  Bare RTP, inbound audio to port 4000 and outbound to 4001:
    strep simulate --rtp 127.0.0.1:4000,4001
  A media stream over WebSocket, with a file of your own:
    strep simulate --ws ws://127.0.0.1:9001/ --audio greeting.mp3
  200 calls, each with its own tones, over a bad line; what happened goes to a file:
    strep simulate --udp 127.0.0.1:9000 --calls 200 --tones --loss 2% --burst-loss 4 \\
        --reorder 1% --duplicate 0.5% --jitter 15 --truth truth.json
  Another carrier's stream; a WAV of what each caller heard, and when, goes to a folder:
    strep simulate --ws ws://127.0.0.1:9001/ --dialect twilio --heard heard/
  A caller who says something, presses 1 at 4 s, and listens on:
    strep simulate --ws ws://127.0.0.1:9001/ --say 0.5:hello.wav --press 4:1 --seconds 8 --heard heard/
  Telnyx, asked for raw audio; and as it is by default, an MP3 a message, here with errors at random:
    strep simulate --ws "ws://127.0.0.1:9001/?playback=rtp" --playback rtp --heard heard/
    strep simulate --ws ws://127.0.0.1:9001/ --error-rate 5% --heard heard/
  A leg that the server takes only when its webhook has come, here half a second late:
    strep keys carrier.pem; strep simulate --udp 127.0.0.1:9000 --announce-key carrier.pem \\
        --announce http://127.0.0.1:9080/v1/webhooks/telnyx --announce-delay 0.5
  Everything that carriers do to a call in one:
    strep simulate --udp 127.0.0.1:9000 --dtx 30% --hold 4+5 --ssrc-change 10 \\
        --timestamp-jump 14 --wrap --extras 5% --malformed 1%

With --segmented (Linux) the kernel gets up to 64 datagrams as one message and cuts it up, for half of the processor
time. Not for a server with several workers on this machine: a message goes to one of them.

Shares are written 2% or 0.02, times in seconds, spans as START+LENGTH in seconds of the call. The same
--seed gives the same packets, faults and truth. Without it faults are those of --seed 1, and call_leg_ids, SSRCs and
stream ids are other ones each time; the summary says with which --ids they come again.

Exit status: 1 if nothing could be sent, or the far end refused every call, or closed it before its end other than
with 1000 (a hangup); by UDP, if most datagrams were refused, for nobody listened. 2 if the options are wrong.
"""


@click.command(epilog=EPILOG, context_settings={"max_content_width": 110})
@click.option("--udp", type=parameters.ADDRESS, help="Send STREP to HOST:PORT, both directions of all calls.")
@click.option("--rtp", type=parameters.RTP_ADDRESS, help="Send bare RTP, inbound to HOST:PORT, outbound to TXPORT.")
@click.option("--ws", metavar="URL", help="Dial a media stream to this URL for each call.")
@click.option("--calls", type=click.IntRange(1), default=1, show_default=True, help="How many calls.")
@click.option("--seconds", type=parameters.NUMBER, default=20.0, show_default=True, help="How long each call lasts.")
@click.option("--stagger", type=parameters.NUMBER, default=7.0, show_default=True, help="Milliseconds between calls.")
@click.option(
    "--audio",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Audio file to play; left inbound, right outbound. Default: a conversation of 20 s.",
)
@click.option("--tones", is_flag=True, help="Different tones for each call and direction instead.")
@click.option(
    "--codec",
    type=click.Choice(NAMES, case_sensitive=False),
    default="PCMU",
    show_default=True,
    help="Of the payloads.",
)
@click.option("--codec-rate", type=click.IntRange(1), metavar="HZ", help="Of the codec, where it has several.")
@click.option(
    "--payload-type", type=click.IntRange(0, 127), help="RTP's. Default: 0, 8, 9; 96 for L16, 111 for OPUS."
)
@click.option(
    "--ptime",
    type=click.Choice(["10", "20", "30", "60"]),
    default="20",
    show_default=True,
    help="Milliseconds of audio in a packet.",
)
@click.option(
    "--b-leg",
    type=click.Choice([leg.value for leg in BLeg]),
    default="none",
    show_default=True,
    help="Give calls a B leg, under the A leg's call_leg_id or its own.",
)
@click.option(
    "--rtp-port-step",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Ports of the next call are this much higher (--rtp).",
)
@click.option("--loss", type=parameters.SHARE, default=0.0, help="Share of the packets lost.")
@click.option(
    "--burst-loss", type=parameters.NUMBER, default=0.0, metavar="PACKETS", help="Mean length of a loss burst."
)
@click.option("--reorder", type=parameters.SHARE, default=0.0, help="Share of the packets held back up to 60 ms.")
@click.option("--duplicate", type=parameters.SHARE, default=0.0, help="Share of the packets sent twice.")
@click.option("--jitter", type=parameters.NUMBER, default=0.0, metavar="MS", help="Random delay from 0 to this.")
@click.option("--stall", type=parameters.SPAN, help="Nothing arrives, then everything at once.")
@click.option("--dtx", type=parameters.SHARE, default=0.0, help="Share of the time with silence suppressed.")
@click.option("--hold", type=parameters.SPAN, help="No packets for this span; timestamps go on.")
@click.option("--ssrc-change", type=parameters.SECONDS, help="New SSRC, sequence number and timestamp.")
@click.option("--sequence-reset", type=parameters.SECONDS, help="New sequence number, same SSRC.")
@click.option("--timestamp-jump", type=parameters.SECONDS, help="Timestamps jump by 2**31.")
@click.option("--wrap", is_flag=True, help="Begin just before both counters wrap.")
@click.option("--extras", type=parameters.SHARE, default=0.0, help="Share with extension, CSRC, padding.")
@click.option("--header-length", type=click.IntRange(24, 255), default=24, show_default=True, help="STREP HeaderLen.")
@click.option("--malformed", type=parameters.SHARE, default=0.0, help="Datagrams of rubbish per packet.")
@click.option(
    "--dtmf",
    "--ws-dtmf",
    "dtmf",
    default="",
    metavar="DIGITS",
    help="Keys that each caller presses, spread over the call; packets (RFC 4733) or frames.",
)
@click.option("--press", type=parameters.PRESS, multiple=True, help="Keys pressed at a time: 2.5:1#.")
@click.option(
    "--say", type=parameters.SAY, multiple=True, help="A file spoken at a time, silence between: 1:hello.wav."
)
@stream_flags
@click.option("--announce", metavar="URL", help="Post signed webhooks about each leg here (--udp).")
@click.option(
    "--announce-key",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Sign them with the Ed25519 key in this file; `strep keys` makes one.",
)
@click.option(
    "--announce-delay",
    type=parameters.SECONDS,
    help="Announce each leg so long after its first packet, not before it.",
)
@click.option("--segmented", is_flag=True, help="Many calls from one core: see below.")
@click.option("--seed", type=click.IntRange(0), show_default="1", help="Of all randomness, ids included.")
@click.option(
    "--ids", type=click.IntRange(0), help="Seed of the calls' ids alone. Default: --seed; without it, drawn."
)
@click.option("--heard", type=click.Path(path_type=Path, file_okay=False), help="Write what each caller heard here.")
@click.option("--truth", type=click.Path(path_type=Path, dir_okay=False), help="Write what was sent, as JSON.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def simulate(truth: Path | None, heard: Path | None, as_json: bool, **given: Any) -> None:
    """Be the carrier: send calls of real audio to a media server, with faults, and tell the truth about them.

    Give one of --udp, --rtp and --ws. Everything else has a default.
    """
    try:
        simulation = Simulation(_options(given))
        total = len(simulation)
        allow_descriptors(2 * simulation.options.calls)
    except ConfigurationError as error:
        raise click.UsageError(str(error)) from error
    try:
        with progress_bar(total) as on_progress, asyncio.Runner(loop_factory=loop_factory()) as runner:
            announcer = _announcer(given)
            run = simulation.run(_target(given), on_progress=on_progress, heard_folder=heard, announcer=announcer)
            outcome = runner.run(run)
        if truth is not None:
            outcome.truth.write(truth)
    except (ConfigurationError, OSError) as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        raise click.Abort from None
    if as_json:
        facts = describe(outcome) | {"ids": simulation.options.identity}
        click.echo(msgspec.json.encode(facts).decode())
    else:
        _show(outcome, announcer, given, simulation.options.identity)
    if is_in_vain(outcome):
        click.get_current_context().exit(1)


def _show(outcome: Outcome, announcer: Announcer | None, given: dict[str, Any], ids: int) -> None:
    click.echo("\n".join(lines(outcome)))
    for answer, count in announcer.refused.items() if announcer is not None else ():
        click.echo(f"webhooks that were not taken: {count:,} ({answer})")
    if given["ids"] is None and given["seed"] is None:
        click.echo(f"ids of this run: {ids}; --ids {ids} repeats it")
    show_heard(outcome)


def _target(given: dict[str, Any]) -> Target:
    rx, tx = given["rtp"] or (None, None)
    return Target(given["udp"], rx, tx, given["rtp_port_step"], given["ws"] or "", given["segmented"])


def _announcer(given: dict[str, Any]) -> Announcer | None:
    if not given["announce"]:
        return None
    from media.carrier.announcing import Announcer

    return Announcer(given["announce"], given["announce_key"], given["announce_delay"] or 0)


def _options(given: dict[str, Any]) -> SimulationOptions:
    transports = {Transport.STREP: "udp", Transport.RTP: "rtp", Transport.WEBSOCKET: "ws"}
    chosen = [transport for transport, name in transports.items() if given[name]]
    if len(chosen) != 1:
        raise ConfigurationError("give one of --udp, --rtp and --ws: where to send the audio")
    if given["announce"] and not (given["udp"] and given["announce_key"]):
        raise ConfigurationError("--announce is for the legs of --udp, and needs --announce-key: `strep keys FILE`")
    if given["tones"] and given["audio"]:
        raise ConfigurationError("--tones and --audio exclude each other")
    return SimulationOptions(
        transport=chosen[0],
        calls=given["calls"],
        seconds=given["seconds"],
        ptime_ms=int(given["ptime"]),
        codec=encoding(given["codec"], given["codec_rate"], big_endian=not given["ws"] or given["ws_big_endian"]),
        payload_type=given["payload_type"],
        stagger_ms=given["stagger"],
        audio=None if given["tones"] else given["audio"] or CONVERSATION,
        b_leg=BLeg(given["b_leg"]),
        seed=1 if given["seed"] is None else given["seed"],
        ids=_ids(given),
        network=_network(given),
        faults=_faults(given),
        websocket=stream_options(given),
        presses=_presses(given),
        says=given["say"],
    )


def _ids(given: dict[str, Any]) -> int | None:
    """Draw ids unless they are given: a server would take another run with the same ones for the same calls."""
    if given["ids"] is not None or given["seed"] is not None:
        ids: int | None = given["ids"]
        return ids
    return SystemRandom().randrange(1, _MOST_IDS)


def _presses(given: dict[str, Any]) -> tuple[tuple[int, str], ...]:
    digits, whole_ns = given["dtmf"], int(given["seconds"] * NS_PER_SECOND)
    evenly = [(whole_ns * place // (len(digits) + 1), digit) for place, digit in enumerate(digits, 1)]
    at_times = [
        (time_ns + place * PRESS_STEP_NS, key) for time_ns, keys in given["press"] for place, key in enumerate(keys)
    ]
    return (*evenly, *at_times)


def _network(given: dict[str, Any]) -> NetworkModel:
    return NetworkModel(
        loss=given["loss"],
        burst_loss=given["burst_loss"],
        reorder=given["reorder"],
        duplicate=given["duplicate"],
        jitter_ms=given["jitter"],
        stall=given["stall"],
    )


def _faults(given: dict[str, Any]) -> Faults:
    return Faults(
        dtx=given["dtx"],
        hold=given["hold"],
        ssrc_change_at_ns=given["ssrc_change"],
        sequence_reset_at_ns=given["sequence_reset"],
        timestamp_jump_at_ns=given["timestamp_jump"],
        near_wrap=given["wrap"],
        extras=given["extras"],
        header_bytes=given["header_length"],
        malformed=given["malformed"],
    )
