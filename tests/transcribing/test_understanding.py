"""Sentences and digit strings over the whole chain: simulated carrier, server, worker process, events."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from shutil import which

import pytest

from benchmarks.transcribe import hear_call
from benchmarks.transcribe_corpus import DIGITS, SENTENCES, monologue, word_error_rate, word_errors
from media.carrier.pacing import Instant
from media.transcribing.limits import Limits
from tests.patience import PATIENCE_S
from tests.searching import IS_LONG

pytest.importorskip("pocketsphinx", reason="pip install strep[transcribe]")


@pytest.mark.parametrize(
    ("said", "heard", "errors"),
    [("a b c", "a b c", 0), ("a b c", "", 3), ("a b c", "a x c", 1), ("a b", "a c b", 1), ("a b", "c d e", 3)],
)
def test_word_errors(said: str, heard: str, errors: int) -> None:
    assert word_errors(said, heard) == errors
    assert word_error_rate(said, heard) == errors / len(said.split())


@pytest.mark.peer
@pytest.mark.realtime
@pytest.mark.skipif(which("flite") is None, reason="flite is not installed: make peers")
@pytest.mark.parametrize(
    ("engine", "texts", "most"),
    [("pocketsphinx", SENTENCES, 0.15), ("pocketsphinx:grammar=digits", DIGITS, 0.05)],
    ids=["sentences", "digits"],
)
async def test_words_are_right(
    tmp_path: Path, engine: str, texts: Sequence[str], most: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it is sent at once, so that the test does not take as long as the speech; hence the patience."""
    monkeypatch.setattr("media.server.SINK_STOP_TIMEOUT_S", PATIENCE_S)
    texts = texts if IS_LONG else texts[::2]
    patience = Limits(workers=1, backlog_s=600, close_s=PATIENCE_S, hang_s=PATIENCE_S)
    heard = await hear_call(engine, monologue(texts, "rms", tmp_path), tmp_path, pacer=Instant(), limits=patience)
    assert len(heard.texts) >= len(texts)
    assert word_error_rate(" ".join(texts), heard.text) <= most, heard.texts
