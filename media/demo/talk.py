"""A caller who talks with the application parrot over the media WebSocket, and whether she heard what she said.

Her words are cut out of the shipped conversation. A parrot that hears a pause says back what it heard, so everything
that comes back can be looked for, sample by sample, in what she said; she speaks into one of its answers, which then
has to end.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from media.apps.parrot import parrot
from media.carrier.audio import CONVERSATION, load
from media.carrier.options import PlaybackMode, SimulationOptions, Transport, WebSocketOptions
from media.carrier.simulation import Outcome, Simulation, Target
from media.talk.call import LiveCall
from media.talk.contract import Pcm
from strep.g711 import SAMPLE_RATE_HZ, decode

SUBFOLDER = "talk"
SAID, BOTH = "said.wav", "talk.wav"
QUERY = "?playback=rtp"
"""Asks the server for raw audio; without it a stream of Telnyx's gets MP3, which is not the same to the sample."""
_WAV_HEADER_BYTES = 44


@dataclass(frozen=True, slots=True)
class Phrase:
    """Something said.

    Attributes:
        text: its words.
        at_s: when, in seconds of the call.
        cut_s: from where to where it is in the conversation's first channel. It begins loud, with what the parrot
            takes for a beginning.
        is_answered_whole: nobody speaks into its answer.
    """

    text: str
    at_s: float
    cut_s: tuple[float, float]
    is_answered_whole: bool = True

    @property
    def start(self) -> int:
        """Its first sample in the call."""
        return round(self.at_s * SAMPLE_RATE_HZ)

    @property
    def samples(self) -> int:
        """Its length."""
        return round((self.cut_s[1] - self.cut_s[0]) * SAMPLE_RATE_HZ)


SCRIPT = (
    Phrase("Hello, this is Anna Keller.", 0.3, (3.8, 5.2)),
    Phrase("Oh, wonderful. What do I owe you?", 5.0, (13.8, 16.0), is_answered_whole=False),
    Phrase("Perfect, see you on Friday.", 9.0, (17.5, 19.2)),
)
_SECONDS, _SHORT_SECONDS = 14.4, 5.0
"""Of a call with all of it, and of one with the first phrase alone."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a phrase.

    Attributes:
        phrase: what was said.
        heard_at_s: when the caller heard the first of it come back, in seconds of the call; None if she did not.
        same: samples of it that she heard after she had said them, each as it was.
    """

    phrase: Phrase
    heard_at_s: float | None
    same: int

    @property
    def is_right(self) -> bool:
        """Whether all of it came back; of one that was interrupted, the beginning."""
        return (
            self.same == self.phrase.samples if self.phrase.is_answered_whole else 0 < self.same < self.phrase.samples
        )


class Talk:
    """The call, before, while and after it lasts.

    Attributes:
        folder: of what was said and heard.
        seconds: how long it lasts; with little time it has one phrase.
        phrases: what is said.
        simulation: who says it.
        call_id: the server's name for the call.
    """

    def __init__(self, directory: Path, seconds: float) -> None:
        self.folder = directory / SUBFOLDER
        is_long = seconds >= _SECONDS
        self.seconds = _SECONDS if is_long else _SHORT_SECONDS
        self.phrases = SCRIPT if is_long else SCRIPT[:1]
        self.folder.mkdir(parents=True, exist_ok=True)
        soundfile.write(self.folder / SAID, _spoken(self.phrases, self.seconds), SAMPLE_RATE_HZ, subtype="PCM_16")
        stream = WebSocketOptions(tracks=("inbound",), playback_mode=PlaybackMode.RTP)
        self.simulation = Simulation(
            SimulationOptions(
                Transport.WEBSOCKET, seconds=self.seconds, audio=self.folder / SAID, websocket=stream, seed=3
            )
        )
        self.call_id = self.simulation.plan().truth().tracks[0].stream_id

    async def answer(self, call: LiveCall) -> None:
        """Be the server's application: a parrot for this call, nothing for the others."""
        if call.call_id == self.call_id:
            await parrot(call)

    async def call(self, stream_url: str) -> Outcome:
        """Call, and write what is heard."""
        target = Target(stream_url=stream_url + QUERY)
        return await self.simulation.run(target, heard_folder=self.folder)

    def heard(self) -> Pcm:
        """Return what the caller has heard so far; the carrier writes it once a second."""
        path = self.folder / f"{self.call_id}.wav"
        content = path.read_bytes()[_WAV_HEADER_BYTES:] if path.exists() else b""
        return np.frombuffer(content, "<i2", len(content) // 2).astype(np.int16, copy=False)

    def answers(self) -> list[Answer]:
        """Judge the call, which is over, and write both sides of it into one file, left what was said."""
        plan = self.simulation.plan()
        said, heard = decode(plan.expected_encoded(0), plan.scripts[0].codec), self.heard()
        both = np.zeros((max(len(said), len(heard)), 2), np.int16)
        both[: len(said), 0], both[: len(heard), 1] = said, heard
        soundfile.write(self.folder / BOTH, both, SAMPLE_RATE_HZ, subtype="PCM_16")
        try:
            story = json.loads((self.folder / f"{self.call_id}.json").read_bytes())
        except OSError:
            story = {"spurts": []}
        spurts = [(spurt["position"], spurt["samples"]) for spurt in story["spurts"]]
        return judge(self.phrases, said, heard, spurts)


def _spoken(phrases: Iterable[Phrase], seconds: float) -> Pcm:
    conversation = load(CONVERSATION)[0]
    said = np.zeros(round(seconds * SAMPLE_RATE_HZ), np.int16)
    for phrase in phrases:
        first = round(phrase.cut_s[0] * SAMPLE_RATE_HZ)
        said[phrase.start : phrase.start + phrase.samples] = conversation[first : first + phrase.samples]
    return said


def judge(phrases: Iterable[Phrase], said: Pcm, heard: Pcm, spurts: Sequence[tuple[int, int]]) -> list[Answer]:
    """Find each stretch of what was heard in what had been said before.

    Args:
        phrases: of the call.
        said: (n,) int16 from the call's beginning.
        heard: the same.
        spurts: (position, samples) of each stretch that was heard without a gap.
    """
    heard_at = np.full(len(said), -1)
    for position, samples in spurts:
        stretch = heard[position : position + samples]
        start, odd = divmod(said.tobytes().find(stretch.tobytes()), said.itemsize)
        if len(stretch) and not odd and 0 <= start <= position:
            heard_at[start : start + len(stretch)] = position + np.arange(len(stretch))
    answers = []
    for phrase in phrases:
        came = heard_at[phrase.start : phrase.start + phrase.samples]
        came = came[came >= 0]
        answers.append(Answer(phrase, int(came[0]) / SAMPLE_RATE_HZ if len(came) else None, len(came)))
    return answers
