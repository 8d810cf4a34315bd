"""Transcription during a call, switched by its application: a part of `LiveCall`.

Parameters are named as in Telnyx' ``transcription_start``, where they fit.
"""

from __future__ import annotations

import asyncio
from typing import cast, get_args

from media.sinks.contract import CallInfo
from media.transcribing.plugins import DEFAULT, EngineChoice, make_engine
from media.transcribing.sink import Tracks, TranscribingSink, Wish
from strep.errors import UsageError


class Transcribable:
    """What a call can have transcribed.

    Attributes:
        info: see `LiveCall`.
        transcriber: what does it; None where nothing does.
    """

    info: CallInfo
    transcriber: TranscribingSink | None = None

    @property
    def has_ended(self) -> bool:
        """See `LiveCall.has_ended`."""
        raise NotImplementedError

    async def start_transcription(
        self,
        engine: str | EngineChoice = DEFAULT,
        *,
        transcription_tracks: str = "inbound",
        interim_results: bool = False,
        **engine_config: str | float,
    ) -> None:
        """Transcribe from now on; what is said comes by `LiveCall.events`, and into the files of ``--record``.

        Args:
            engine: see `media.transcribing.plugins`; or one with all its options.
            transcription_tracks: "inbound", "outbound" or "both".
            interim_results: tell what is not final, too.
            engine_config: options of the engine: language, grammar, model, ...

        Raises:
            ConfigurationError: there is no such engine, or it cannot be used so.
            UsageError: the call is being transcribed already, or has ended, or there are too many engines.
            ValueError: no such tracks.
        """
        if transcription_tracks not in get_args(Tracks):
            raise ValueError(f"transcription_tracks={transcription_tracks!r}: one of {', '.join(get_args(Tracks))}")
        options = tuple((name, str(value)) for name, value in engine_config.items())
        choice = engine if isinstance(engine, EngineChoice) else EngineChoice(engine, options)
        wish = Wish(choice, cast(Tracks, transcription_tracks), wants_partials=interim_results)
        self._transcriber()
        # Elsewhere, for an engine of another package is imported at its first use.
        await asyncio.to_thread(make_engine, choice)
        self._transcriber().start(self.info, wish)  # asked again: the call may have ended meanwhile

    async def stop_transcription(self) -> bool:
        """Transcribe no more; what was said before is still told. False: nothing was transcribed.

        Raises:
            UsageError: the call has ended.
        """
        return self._transcriber().stop(self.info)

    def _transcriber(self) -> TranscribingSink:
        if self.has_ended:
            raise UsageError("the call has ended")
        if self.transcriber is None:
            raise UsageError("nothing here transcribes")
        return self.transcriber
