"""Deepgram's live protocol without a socket: one track, over as many connections as it takes. Sans-I/O.

https://developers.deepgram.com/reference/speech-to-text/listen-streaming: audio goes up in binary messages,
``Results`` come down in JSON, with times in seconds of what this connection was sent. ``Finalize`` asks for what is
final now (https://developers.deepgram.com/docs/finalize), ``KeepAlive`` within 10 s keeps a silent connection open
(https://developers.deepgram.com/docs/audio-keep-alive), ``CloseStream`` ends it.

Audio is kept until it is in a final result, and sent again over the next connection if one breaks.
"""

from __future__ import annotations

import json
from collections import deque
from typing import Any

from media.transcribing.contract import Pcm, Result, Word
from strep.clock import NS_PER_SECOND
from strep.errors import WireError

KEEP_ALIVE_NS = 4 * NS_PER_SECOND
"""3 to 5 s are recommended; after 10 without anything the service closes."""
FINALIZE_NS = 5 * NS_PER_SECOND
"""Not every ``Finalize`` is answered: where nothing was left, there may be nothing to say."""
NEARLY_S = 0.15
"""A result that ends so near to the end of what was sent is of all of it."""
MAX_KEPT_S = 60
FINALIZE, KEEP_ALIVE, CLOSE = (json.dumps({"type": name}) for name in ("Finalize", "KeepAlive", "CloseStream"))


class ListenProtocol:
    """One track.

    Attributes:
        is_settled: no result is awaited.
        dropped_samples: what was given while there was no connection for too long.
    """

    def __init__(self, rate_hz: int) -> None:
        self.dropped_samples = 0
        self._rate_hz = rate_hz
        self._given = 0
        self._kept: deque[tuple[int, bytes]] = deque()  # where it begins, s16le
        self._sent = 0  # until here this connection was sent; before `_base` an earlier one
        self._base = 0  # its time 0
        self._is_open = False
        self._finalize = False
        self._asked_ns: int | None = None  # when `Finalize` was sent
        self._spoke_ns = 0

    @property
    def is_settled(self) -> bool:
        """Whether nothing is to be expected unless more is given."""
        return not self._finalize and self._asked_ns is None

    @property
    def has_something_to_say(self) -> bool:
        """Whether `to_send` would return audio or ``Finalize``; then it is worth a connection."""
        return self._finalize or self._sent < self._given

    def give(self, pcm: Pcm) -> None:
        """Take some speech."""
        self._kept.append((self._given, pcm.astype("<i2").tobytes()))
        self._given += len(pcm)
        while self._given - self._kept[0][0] > MAX_KEPT_S * self._rate_hz:
            _, content = self._kept.popleft()
            self.dropped_samples += len(content) // 2

    def finish(self) -> None:
        """Ask for what is final, once all is sent."""
        self._finalize = bool(self._kept)

    def connected(self, now_ns: int) -> None:
        """Begin with a connection: what is not in a final result goes over it."""
        self._is_open = True
        self._base = self._sent = self._kept[0][0] if self._kept else self._given
        self._finalize = self._finalize or self._asked_ns is not None
        self._asked_ns, self._spoke_ns = None, now_ns

    def disconnected(self) -> None:
        """Take note that the connection is gone."""
        self._is_open = False
        self._sent = self._kept[0][0] if self._kept else self._given

    def to_send(self, now_ns: int) -> list[bytes | str]:
        """Return the messages that are due."""
        if not self._is_open:
            return []
        messages: list[bytes | str] = [content for begin, content in self._kept if begin >= self._sent]
        self._sent = self._given
        if self._finalize:
            messages.append(FINALIZE)
            self._finalize, self._asked_ns = False, now_ns
        if not messages and now_ns - self._spoke_ns >= KEEP_ALIVE_NS:
            messages.append(KEEP_ALIVE)
        if messages:
            self._spoke_ns = now_ns
        return messages

    def poll(self, now_ns: int) -> None:
        """Wait for the answer to ``Finalize`` no longer than `FINALIZE_NS`."""
        if self._asked_ns is not None and now_ns - self._asked_ns >= FINALIZE_NS:
            self._asked_ns = None
            self._kept.clear()

    def receive(self, message: str | bytes) -> list[Result]:
        """Take a message; return what it says, in samples that were given.

        Raises:
            WireError: it is not what the service says of itself.
        """
        try:
            document = json.loads(message)
            if document["type"] != "Results":
                return []
            return self._results(document)
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise WireError("transcription_service", f"a message that is no result: {error!r}") from error

    def _results(self, document: dict[str, Any]) -> list[Result]:
        is_final = bool(document.get("is_final"))
        best = document["channel"]["alternatives"][0]
        text = str(best.get("transcript", "")).strip()
        words = [self._word(entry) for entry in best.get("words", ())]
        if is_final:
            end_s = float(document["start"]) + float(document["duration"])
            self._settle(end_s, is_all=bool(document.get("from_finalize")))
        sure = best.get("confidence")
        return [Result(text, is_final, words, None if sure is None else float(sure))] if text else []

    def _settle(self, end_s: float, *, is_all: bool) -> None:
        """Nothing before `end_s` is awaited any more."""
        sent = self._sent if is_all else self._base + round(end_s * self._rate_hz)
        while self._kept and self._kept[0][0] + len(self._kept[0][1]) // 2 <= sent:
            self._kept.popleft()
        if is_all or sent >= self._sent - NEARLY_S * self._rate_hz:
            self._asked_ns = None

    def _word(self, entry: dict[str, Any]) -> Word:
        start, end = (self._base + round(float(entry[name]) * self._rate_hz) for name in ("start", "end"))
        sure = entry.get("confidence")
        return Word(
            str(entry.get("punctuated_word") or entry["word"]), start, end, None if sure is None else float(sure)
        )
