"""Keys are those of age, and a mistake in one is found and said, without saying the key."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.sealing import bech32
from media.sealing.keys import Identity, Recipient, make_identity, parse_recipient, read_identities
from strep.errors import ConfigurationError
from tests.sealing.people import ALICE

# The identity of age's own test vectors (C2SP/CCTV, age/testdata/x25519).
PRIVATE = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"
PUBLIC = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"
WALL_NS = 1_790_000_000_000_000_000


def refusal(text: str) -> str:
    with pytest.raises(ValueError, match=r"\w") as caught:
        parse_recipient(text)
    return str(caught.value)


class TestBech32:
    @given(content=st.binary(max_size=80), prefix=st.sampled_from(["age", "age-secret-key-", "a"]))
    def test_round_trip_in_either_case(self, content: bytes, prefix: str) -> None:
        text = bech32.encode(prefix, content)
        assert bech32.decode(text) == bech32.decode(text.upper()) == (prefix, content)

    @given(place=st.integers(0, len(PUBLIC) - 1), character=st.sampled_from("qpzry9x8gf2tvdw0s3jn54khce6mua7l1b"))
    def test_one_wrong_character_is_found(self, place: int, character: str) -> None:
        wrong = PUBLIC[:place] + character + PUBLIC[place + 1 :]
        if wrong != PUBLIC:
            with pytest.raises(ValueError, match=r"key|mistake"):
                bech32.decode(wrong)

    @pytest.mark.parametrize("text", ["", "age1", "1qqqqqq", "age", PUBLIC[:-1], PUBLIC[:20] + PUBLIC[20:].upper()])
    def test_what_is_none(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"key|mixes|mistake"):
            bech32.decode(text)


class TestRecipients:
    def test_of_age(self) -> None:
        assert str(Identity(b"\x42" * 32).recipient) == PUBLIC
        assert Identity(b"\x42" * 32).reveal() == PRIVATE
        assert parse_recipient(f" {PUBLIC}\n") == Identity(b"\x42" * 32).recipient

    def test_a_private_key_is_refused_and_not_said(self) -> None:
        assert "private" in refusal(PRIVATE)
        assert PRIVATE not in refusal(PRIVATE)
        assert PRIVATE[15:] not in repr(Identity(b"\x42" * 32))

    @pytest.mark.parametrize(
        "text",
        ["", "alice", "ssh-ed25519 AAAA", PUBLIC + "q", bech32.encode("age", b"x"), bech32.encode("b", b"x" * 32)],
    )
    def test_what_is_none_is_refused(self, text: str) -> None:
        assert refusal(text)


class TestFiles:
    def test_only_its_owner_may_read_it(self, tmp_path: Path) -> None:
        path = tmp_path / "key"
        before = os.umask(0)
        try:
            identity = make_identity(path, WALL_NS)
        finally:
            os.umask(before)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert read_identities(path) == [identity]
        assert f"# public key: {identity.recipient}\n" in path.read_text()

    def test_is_never_overwritten(self, tmp_path: Path) -> None:
        path = tmp_path / "key"
        make_identity(path, WALL_NS)
        before = path.read_bytes()
        with pytest.raises(FileExistsError):
            make_identity(path, WALL_NS)
        assert path.read_bytes() == before

    def test_several_keys_and_comments(self, tmp_path: Path) -> None:
        path = tmp_path / "key"
        path.write_text(f"# two\n\n{ALICE.reveal()}\n{PRIVATE.lower()}\n")
        assert read_identities(path) == [ALICE, Identity(b"\x42" * 32)]

    @pytest.mark.parametrize(
        ("content", "why"),
        [
            (b"", "no key"),
            (b"# only words\n", "no key"),
            (PUBLIC.encode(), "public key"),
            (PRIVATE[:-1].encode(), "line 1"),
            (b"\xff\xfe", "no file of private keys"),
            (b"-----BEGIN PRIVATE KEY-----", "line 1"),
        ],
    )
    def test_what_has_none(self, tmp_path: Path, content: bytes, why: str) -> None:
        path = tmp_path / "key"
        path.write_bytes(content)
        with pytest.raises(ConfigurationError, match=why) as caught:
            read_identities(path)
        assert PRIVATE[:-1] not in str(caught.value)

    def test_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="No such file"):
            read_identities(tmp_path / "key")


@pytest.mark.peer
class TestAgeKeygen:
    def test_reads_keys_of_ours(self, tmp_path: Path, age_keygen: str) -> None:
        identity = make_identity(tmp_path / "key", WALL_NS)
        done = subprocess.run([age_keygen, "-y", tmp_path / "key"], capture_output=True, check=True, timeout=60)
        assert done.stdout.decode().strip() == str(identity.recipient)

    def test_makes_keys_for_us(self, tmp_path: Path, age_keygen: str) -> None:
        subprocess.run([age_keygen, "-o", tmp_path / "key"], capture_output=True, check=True, timeout=60)
        (identity,) = read_identities(tmp_path / "key")
        assert f"# public key: {identity.recipient}" in (tmp_path / "key").read_text()
        assert isinstance(identity.recipient, Recipient)
