"""Envelopes are files of age: its own program opens ours, we open its, and nothing in them can be altered."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.sealing import age
from media.sealing.keys import Recipient
from tests.sealing.people import ALICE, BOB, EVE, FOR_ALICE

SECRET = bytes(range(32))


@given(secret=st.binary(max_size=100))
def test_who_is_a_recipient_opens_it(secret: bytes) -> None:
    sealed = age.encrypt(secret, [ALICE.recipient, BOB.recipient])
    assert age.decrypt(sealed, [ALICE]) == age.decrypt(sealed, [BOB]) == age.decrypt(sealed, [EVE, BOB]) == secret
    with pytest.raises(age.NoKeyFits):
        age.decrypt(sealed, [EVE])


def test_no_two_are_alike() -> None:
    assert age.encrypt(SECRET, FOR_ALICE) != age.encrypt(SECRET, FOR_ALICE)


def test_every_byte_counts() -> None:
    sealed = age.encrypt(SECRET, [ALICE.recipient, BOB.recipient])
    for place in range(len(sealed)):
        for bit in (1, 0x80):
            altered = bytearray(sealed)
            altered[place] ^= bit
            with pytest.raises((age.Altered, age.NoKeyFits)):
                age.decrypt(bytes(altered), [ALICE])


def test_every_length_counts() -> None:
    sealed = age.encrypt(SECRET, FOR_ALICE)
    for length in range(len(sealed)):
        with pytest.raises((age.Altered, age.NoKeyFits)):
            age.decrypt(sealed[:length], [ALICE])
    with pytest.raises(age.Altered):
        age.decrypt(sealed + b"x", [ALICE])


def test_a_key_that_hides_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="shared key"):
        age.encrypt(SECRET, [Recipient(bytes(32))])


@given(content=st.binary(max_size=200))
def test_rubbish_is_refused(content: bytes) -> None:
    with pytest.raises((age.Altered, age.NoKeyFits)):
        age.decrypt(b"age-encryption.org/v1\n" + content, [ALICE])


@pytest.mark.peer
class TestAge:
    """The real program."""

    def run(self, program: str, *arguments: str | Path, given: bytes) -> bytes:
        done = subprocess.run([program, *arguments], input=given, capture_output=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def test_opens_what_is_sealed_here(self, tmp_path: Path, age_program: str) -> None:
        for number, identity in enumerate((ALICE, BOB)):
            key = tmp_path / f"key{number}"
            key.write_text(identity.reveal())
            sealed = age.encrypt(SECRET, [ALICE.recipient, BOB.recipient])
            assert self.run(age_program, "-d", "-i", key, given=sealed) == SECRET

    def test_seals_what_is_opened_here(self, age_program: str) -> None:
        to = [part for identity in (ALICE, BOB) for part in ("-r", str(identity.recipient))]
        sealed = self.run(age_program, *to, given=SECRET)
        assert age.decrypt(sealed, [ALICE]) == age.decrypt(sealed, [BOB]) == SECRET
