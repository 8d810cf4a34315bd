"""wss://, with certificates that OpenSSL has made, one of them renewed while the door is open."""

from __future__ import annotations

import os
import ssl
import subprocess
from dataclasses import replace
from pathlib import Path
from shutil import which

import pytest
from websockets.asyncio.client import connect

from media.ws.tls import Certificate
from strep.errors import ConfigurationError
from tests.ws.doors import PATIENT, closing, open_door
from tests.ws.fakes import media, start, stop

pytestmark = [
    pytest.mark.realtime,
    pytest.mark.peer,
    pytest.mark.skipif(not which("openssl"), reason="openssl is not installed"),
]


def make(directory: Path, name: str) -> tuple[Path, Path]:
    certificate, key = directory / f"{name}.pem", directory / f"{name}.key"
    subject = ["-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command = ["openssl", "req", "-x509", *kind, "-keyout", str(key), "-out", str(certificate), *subject]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


def trusting(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificate)


async def test_a_stream_and_a_renewed_certificate(tmp_path: Path) -> None:
    used, key = make(tmp_path, "first")
    certificate = Certificate(used, key)
    options = replace(PATIENT, certificate=certificate, patience_ms=100.0)
    async with open_door(options) as door:
        url = door.url.replace("ws://", "wss://")
        async with connect(url, ssl=trusting(used)) as client:
            await client.send(start())
            for number in range(200):
                await client.send(media(number + 1, number + 2))
            await door.host.until("media", 200)
            await client.send(stop())
            await door.host.until("stopped")
        certificate.refresh()
        assert certificate.renewals == 0
        for new, old in zip(make(tmp_path, "second"), (used, key), strict=True):
            os.replace(new, old)
        certificate.refresh()
        assert certificate.renewals == 1
        async with connect(url, ssl=trusting(used)) as client:
            peer = client.transport.get_extra_info("ssl_object").getpeercert()
            assert peer["subject"] == ((("commonName", "second"),),)
            await client.send(start("other"))
            await door.host.until("started", 2)
            closed = door.server.close()
            await closed
            assert (await closing(client))[0] == 1001


async def test_a_renewed_certificate_that_does_not_fit(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    used, key = make(tmp_path, "first")
    certificate = Certificate(used, key)
    trusted = trusting(used)
    async with open_door(replace(PATIENT, certificate=certificate)) as door:
        os.replace(make(tmp_path, "second")[0], used)
        certificate.refresh()
        assert "the old one stays" in caplog.text
        async with connect(door.url.replace("ws://", "wss://"), ssl=trusted) as client:
            await client.send(start())
            await door.host.until("started")


def test_what_is_no_certificate(tmp_path: Path) -> None:
    path = tmp_path / "x.pem"
    for text in (None, "nonsense"):
        if text:
            path.write_text(text)
        with pytest.raises(ConfigurationError, match=r"x\.pem"):
            Certificate(path)
