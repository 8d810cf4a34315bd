"""Signatures, beside openssl and the key and signature of RFC 8032 section 7.1."""

from __future__ import annotations

import base64
import re
import stat
import subprocess
from pathlib import Path
from shutil import which

import pytest
from click.testing import CliRunner
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from media.webhooks.command import keys
from media.webhooks.signing import SIGNATURE_HEADER, TIMESTAMP_HEADER, Signer, make_key, read_key
from strep.errors import ConfigurationError

BODY, AT = '{"data":{"id":"é"}}'.encode(), 1_780_000_000
SPKI_PREFIX = bytes.fromhex("302a300506032b6570032100")
"""Of an Ed25519 public key in DER (RFC 8410)."""
openssl = pytest.mark.skipif(which("openssl") is None, reason="no openssl here: make peers")


def public_key(signer: Signer) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(base64.b64decode(signer.public_key))


def test_the_key_of_the_rfc_has_its_public_key() -> None:
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    signer = Signer(Ed25519PrivateKey.from_private_bytes(seed))
    expected = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert base64.b64decode(signer.public_key).hex() == expected


def test_signed_are_timestamp_and_body(tmp_path: Path) -> None:
    signer = make_key(tmp_path / "key.pem")
    headers = signer.headers(BODY, AT)
    assert headers[TIMESTAMP_HEADER] == "1780000000"
    signature = base64.b64decode(headers[SIGNATURE_HEADER])
    public_key(signer).verify(signature, b"1780000000|" + BODY)
    for other in (b"1780000001|" + BODY, b"1780000000|" + BODY + b" ", BODY):
        with pytest.raises(InvalidSignature):
            public_key(signer).verify(signature, other)


@pytest.mark.peer
@openssl
def test_openssl_verifies_and_refuses(tmp_path: Path) -> None:
    signer = make_key(tmp_path / "key.pem")
    headers = signer.headers(BODY, AT)
    (tmp_path / "public.der").write_bytes(SPKI_PREFIX + base64.b64decode(signer.public_key))
    (tmp_path / "signature").write_bytes(base64.b64decode(headers[SIGNATURE_HEADER]))

    def verifies(content: bytes) -> bool:
        (tmp_path / "signed").write_bytes(content)
        command = "openssl pkeyutl -verify -rawin -pubin -keyform DER -inkey public.der -sigfile signature -in signed"
        return subprocess.run(command.split(), cwd=tmp_path, capture_output=True, check=False).returncode == 0

    assert verifies(headers[TIMESTAMP_HEADER].encode() + b"|" + BODY)
    assert not verifies(headers[TIMESTAMP_HEADER].encode() + b"|" + BODY[:-1])


@pytest.mark.peer
@openssl
def test_a_key_of_openssl_is_taken_and_openssl_takes_ours(tmp_path: Path) -> None:
    def run(command: str) -> bytes:
        return subprocess.run(command.split(), cwd=tmp_path, capture_output=True, check=True).stdout

    run("openssl genpkey -algorithm ed25519 -out theirs.pem")
    for signer, name in ((read_key(tmp_path / "theirs.pem"), "theirs.pem"), (make_key(tmp_path / "o.pem"), "o.pem")):
        der = run(f"openssl pkey -in {name} -pubout -outform DER")
        assert der == SPKI_PREFIX + base64.b64decode(signer.public_key)


class TestKeyFiles:
    def test_a_key_is_its_owners_alone_and_stays(self, tmp_path: Path) -> None:
        path = tmp_path / "key.pem"
        made = make_key(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with pytest.raises(FileExistsError):
            make_key(path)
        assert read_key(path).public_key == made.public_key

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            (None, "No such file"),
            (b"", "no private key in PEM"),
            (b"hello", "no private key in PEM"),
            ("rsa", "no Ed25519 key"),
        ],
    )
    def test_what_cannot_be_used_says_what_to_do(
        self, tmp_path: Path, content: bytes | str | None, says: str
    ) -> None:
        path = tmp_path / "key.pem"
        if content == "rsa":
            path.write_bytes(_other_key())
        elif isinstance(content, bytes):
            path.write_bytes(content)
        with pytest.raises(ConfigurationError, match=rf"{re.escape(str(path))}: .*{says}.*strep keys"):
            read_key(path)

    def test_the_command_makes_one_and_then_shows_it(self, tmp_path: Path) -> None:
        path = tmp_path / "key.pem"
        first, again = (CliRunner().invoke(keys, [str(path)]) for _ in range(2))
        assert first.output == again.output == read_key(path).public_key + "\n"

    def test_the_command_says_why_it_cannot(self, tmp_path: Path) -> None:
        result = CliRunner().invoke(keys, [str(tmp_path / "nowhere" / "key.pem")])
        assert (result.exit_code, "No such file" in result.output) == (1, True)


def _other_key() -> bytes:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
