"""espeak-ng, the program: speech in a hundred languages, offline, at once, with the voice of a robot.

A process for each text: its licence (GPL) and its global state stay on the other side. The text goes in by standard
input, PCM comes out in a WAV whose header promises too much, for it cannot know the length yet.
"""

from __future__ import annotations

import asyncio
import re
import struct
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import suppress

from media.talk.contract import PlaybackError
from media.voices.contract import Voice, check_text

PROGRAM = "espeak-ng"
STALL_S = 10.0
"""Without a byte, after which it is killed. It speaks far faster than anybody talks."""
_PIECE_BYTES = 8192
_HEADER_BYTES = 44
_ROW = re.compile(r"\s*\d+\s+(?P<language>\S+)\s+\S+\s+(?P<name>\S+)\s+(?P<file>\S+)")
_MISSING = f"speaking needs {PROGRAM}, which is not installed; on Debian and Ubuntu: apt-get install {PROGRAM}"


class EspeakVoices:
    """See `Voices`.

    Args:
        program: its name or path.
        stall_s: see `STALL_S`.
    """

    def __init__(self, program: str = PROGRAM, *, stall_s: float = STALL_S) -> None:
        self._program, self._stall_s = program, stall_s
        self._voices: list[Voice] = []

    async def voices(self) -> list[Voice]:
        """See `Voices.voices`; asked for once."""
        if not self._voices:
            process = await _started(self._program, "--voices")
            try:
                async with asyncio.timeout(self._stall_s):
                    out, _ = await process.communicate()
            except TimeoutError:
                raise PlaybackError(f"{PROGRAM} does not list its voices") from None
            finally:
                await _ended(process)
            rows = map(_ROW.match, out.decode("utf-8", "replace").splitlines())
            self._voices = [Voice(row["name"], row["language"]) for row in rows if row]
        return self._voices

    async def check(self, language: str, voice: str | None) -> Voice:
        """See `Voices.check`. Where a region is unknown, or not given, any will do."""
        known = await self.voices()
        wanted = language.lower().replace("_", "-")
        base = wanted.partition("-")[0]
        exact = [found for found in known if found.language.lower() == wanted]
        alike = [found for found in known if found.language.lower().partition("-")[0] == base]
        if not alike:
            there = ", ".join(sorted({found.language.partition("-")[0] for found in known}))
            raise PlaybackError(f"{PROGRAM} does not speak {language[:40]!r}; it speaks {there}")
        if voice is None:
            return (exact or alike)[0]
        named = [found for found in exact + alike if found.name.lower() == voice.lower()]
        if not named:
            there = ", ".join(found.name for found in alike[:12])
            raise PlaybackError(f"{PROGRAM} has no voice {voice[:40]!r} for {language}; it has {there}")
        return named[0]

    async def speak(self, text: str, language: str, voice: str | None) -> EspeakSpeech:
        """See `Voices.speak`."""
        clean = check_text(text)
        chosen = await self.check(language, voice)
        # "-b 1": UTF-8; "-v" takes the language, which `check` took from the program's own list.
        process = await _started(self._program, "--stdin", "--stdout", "-b", "1", "-v", chosen.language)
        speech = EspeakSpeech(process, self._stall_s)
        try:
            await speech.begin(clean)
        except BaseException:
            await speech.aclose()
            raise
        return speech


class EspeakSpeech:
    """See `Speech`; the process ends with the text, or when it is closed."""

    def __init__(self, process: Process, stall_s: float) -> None:
        self.rate_hz = 22050
        self._process, self._stall_s = process, stall_s
        self._is_closed = False

    async def begin(self, text: str) -> None:
        """Hand over the text and read the WAV header.

        Raises:
            PlaybackError: there is no WAV.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        with suppress(ConnectionError):  # it has ended already: what it says, or not, tells why
            stdin.write(text.encode())
            stdin.close()
        try:
            async with asyncio.timeout(self._stall_s):
                header = await stdout.readexactly(_HEADER_BYTES)
        except (asyncio.IncompleteReadError, TimeoutError):
            raise PlaybackError(f"{PROGRAM} has nothing to say") from None
        channels, self.rate_hz = struct.unpack_from("<HI", header, 22)
        if header[:4] != b"RIFF" or channels != 1:
            raise PlaybackError(f"{PROGRAM} gives something else than a mono WAV")

    def __aiter__(self) -> AsyncIterator[bytes]:
        """See `Speech`."""
        return self

    async def __anext__(self) -> bytes:
        """Return the next piece."""
        assert self._process.stdout is not None
        if self._is_closed:
            raise StopAsyncIteration
        try:
            async with asyncio.timeout(self._stall_s):
                piece = await self._process.stdout.read(_PIECE_BYTES)
        except TimeoutError:
            await self.aclose()
            raise PlaybackError(f"{PROGRAM} stalled for {self._stall_s:g} s") from None
        if not piece:
            await self._finish()
            raise StopAsyncIteration
        return piece

    async def _finish(self) -> None:
        """Wait for the end of the program.

        Raises:
            PlaybackError: it did not say everything, or does not end.
        """
        try:
            async with asyncio.timeout(self._stall_s):
                status = await self._process.wait()
        except TimeoutError:
            raise PlaybackError(f"{PROGRAM} does not end") from None
        finally:
            await self.aclose()
        if status:
            raise PlaybackError(f"{PROGRAM} broke off (status {status})")

    async def aclose(self) -> None:
        """See `Speech.aclose`."""
        self._is_closed = True
        await _ended(self._process)


async def _started(program: str, *arguments: str) -> Process:
    try:
        return await asyncio.create_subprocess_exec(program, *arguments, stdin=PIPE, stdout=PIPE, stderr=DEVNULL)
    except FileNotFoundError:
        raise PlaybackError(_MISSING) from None
    except OSError as error:
        raise PlaybackError(f"{PROGRAM} does not start: {error.strerror}") from error


async def _ended(process: Process) -> None:
    """Kill a process if it still runs, and collect it."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
    try:
        await process.wait()
    finally:  # also where the server ends, and does not wait for it
        transport = getattr(process, "_transport", None)  # its pipes; asyncio has no public way
        if transport is not None:
            transport.close()
