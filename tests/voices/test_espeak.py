"""The real program where it is installed, and programs that behave badly."""

from __future__ import annotations

from pathlib import Path
from shutil import which
from typing import Any

import pytest

from media.talk.contract import PlaybackError
from media.talk.sources import open_source
from media.voices.contract import MAX_CHARACTERS
from media.voices.espeak import EspeakVoices
from tests.talk.sources.listening import rest

WAV_HEADER = r"printf 'RIFF%018d\001\000\100\037\000\000%016d' 0 0"


def program(tmp_path: Path, text: str) -> EspeakVoices:
    """Return an engine whose program is a shell script; it lists one voice."""
    path = tmp_path / "espeak"
    path.write_text(
        f'#!/bin/sh\nif [ "$1" = --voices ]; then echo " 5  en-us  --/M  Bob  x/en-us"; exit; fi\n{text}\n'
    )
    path.chmod(0o755)
    return EspeakVoices(str(path), stall_s=5)


@pytest.mark.peer
@pytest.mark.skipif(which("espeak-ng") is None, reason="no espeak-ng here: make peers")
class TestTheProgram:
    async def test_it_speaks(self) -> None:
        speech = await EspeakVoices().speak("Hello; $(reboot) `ls` 'and' good bye.", "en-US", None)
        source = await open_source(speech, 8000, rate_hz=speech.rate_hz)
        heard = await rest(source)
        assert source.error is None
        assert 8000 < len(heard) < 80_000
        assert heard.std() > 500
        await speech.aclose()

    async def test_in_other_languages_and_letters(self) -> None:
        engine = EspeakVoices()
        lengths = set()
        for text, language in (
            ("Grüße aus Köln", "de-DE"),
            ("Grüße aus Köln", "de"),
            ("привет", "ru"),
            ("42", "fr-FR"),
        ):
            speech = await engine.speak(text, language, None)
            lengths.add(sum([len(piece) async for piece in speech]))
        assert len(lengths) == 3
        assert min(lengths) > 10_000

    async def test_closing_it_ends_the_process(self) -> None:
        speech: Any = await EspeakVoices().speak("word " * 500, "en", None)
        await anext(aiter(speech))
        await speech.aclose()
        assert speech._process.returncode is not None
        await speech.aclose()

    async def test_what_it_does_not_speak(self) -> None:
        engine = EspeakVoices()
        with pytest.raises(PlaybackError, match="does not speak 'xx-YY'; it speaks af, "):
            await engine.speak("hello", "xx-YY", None)
        with pytest.raises(PlaybackError, match="no voice '-x; ls' for en-US; it has "):
            await engine.speak("hello", "en-US", "-x; ls")
        chosen = await engine.check("en_us", None)
        assert (await engine.check("en-US", chosen.name.upper())) == chosen
        assert len(await engine.voices()) > 50


class TestTexts:
    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("", "no text"),
            (" \n\0\t", "no text"),
            ("x" * (MAX_CHARACTERS + 1), "3001 characters is too long to speak; 3000 are allowed"),
        ],
    )
    async def test_refused(self, text: str, says: str, tmp_path: Path) -> None:
        with pytest.raises(PlaybackError, match=says):
            await program(tmp_path, "").speak(text, "en-US", None)

    async def test_arrive_by_standard_input(self, tmp_path: Path) -> None:
        engine = program(tmp_path, f"{WAV_HEADER}; cat > {tmp_path}/said")
        speech = await engine.speak("ü -v x\n" * 300, "en", None)
        assert speech.rate_hz == 8000
        assert [piece async for piece in speech] == []
        assert (tmp_path / "said").read_text() == ("ü -v x " * 300).strip()


class TestPrograms:
    async def test_missing(self) -> None:
        with pytest.raises(PlaybackError, match="not installed; on Debian and Ubuntu: apt-get install espeak-ng"):
            await EspeakVoices("/no/such/program").speak("hello", "en-US", None)

    async def test_that_may_not_run(self, tmp_path: Path) -> None:
        with pytest.raises(PlaybackError, match="does not start: Permission denied"):
            await EspeakVoices(str(tmp_path)).speak("hello", "en-US", None)

    @pytest.mark.parametrize("text", ["exit 1", "cat > /dev/null; echo RIFF", "exec cat"])
    async def test_that_say_nothing(self, text: str, tmp_path: Path) -> None:
        with pytest.raises(PlaybackError, match="nothing to say"):
            await program(tmp_path, text).speak("hello", "en-US", None)

    async def test_that_stall(self, tmp_path: Path) -> None:
        engine = program(tmp_path, "exec sleep 60")
        await engine.voices()
        engine._stall_s = 0.1
        with pytest.raises(PlaybackError, match="nothing to say"):
            await engine.speak("hello", "en-US", None)

    @pytest.mark.parametrize("end", ["exit 3", "kill -9 $$"])
    async def test_that_break_off(self, end: str, tmp_path: Path) -> None:
        engine = program(tmp_path, f"{WAV_HEADER}; printf abcd; {end}")
        speech = await engine.speak("hello", "en-US", None)
        source = await open_source(speech, 8000, rate_hz=speech.rate_hz)
        assert len(await rest(source)) == 2
        assert "broke off" in str(source.error)

    async def test_that_do_not_end(self, tmp_path: Path) -> None:
        engine = program(tmp_path, f"{WAV_HEADER}; printf abcd; exec sleep 60 >&-")
        speech: Any = await engine.speak("hello", "en-US", None)
        speech._stall_s = 0.1
        with pytest.raises(PlaybackError, match="does not end"):
            [piece async for piece in speech]
        assert speech._process.returncode is not None
