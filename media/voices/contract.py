"""What an engine of speech is: three methods."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from media.talk.contract import PlaybackError

MAX_CHARACTERS = 3000
"""Of a text, whatever the engine: what carriers allow in their own `speak`."""


@dataclass(frozen=True, slots=True)
class Voice:
    """One voice of one language; `language` is a BCP 47 tag, as ``en-US``."""

    name: str
    language: str


class Speech(Protocol):
    """PCM that is being spoken: an async iterator of bytes, s16le mono, to play with ``rate_hz=speech.rate_hz``."""

    @property
    def rate_hz(self) -> int:
        """Of the PCM."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Return itself; it raises PlaybackError where the engine fails."""

    async def aclose(self) -> None:
        """Stop speaking, and let go of everything; a second call does nothing."""


class Voices(Protocol):
    """An engine, made once, when the server starts; its factory is called without arguments.

    What takes long (a model to load) is done by its first `speak`, off the event loop: it may never be asked to.

    Language and voice may be what somebody at the HTTP door sent: names to look up, never paths or addresses.
    """

    async def voices(self) -> list[Voice]:
        """Return every voice there is.

        Raises:
            PlaybackError: the engine is not there; the text says what to install.
        """

    async def check(self, language: str, voice: str | None) -> Voice:
        """Return the voice to speak `language` with: `voice`, or the engine's choice where it is None.

        Raises:
            PlaybackError: there is no such language or voice; the text says which there are.
        """

    async def speak(self, text: str, language: str, voice: str | None) -> Speech:
        """Begin to speak a text as `check_text` returns it.

        Raises:
            PlaybackError: `check` refuses language or voice, or the engine does not start.
        """


def check_text(text: str) -> str:
    """Return a text without what cannot be spoken, control characters.

    Raises:
        PlaybackError: nothing is left, or it is too long.
    """
    clean = "".join(character if character.isprintable() else " " for character in text).strip()
    if not clean:
        raise PlaybackError("there is no text to speak")
    if len(text) > MAX_CHARACTERS:
        raise PlaybackError(f"a text of {len(text)} characters is too long to speak; {MAX_CHARACTERS} are allowed")
    return clean
