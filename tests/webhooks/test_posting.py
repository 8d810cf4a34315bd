from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path

import pytest

from media.webhooks.outbox import Outcome
from media.webhooks.posting import MAX_ANSWER_BYTES, MAX_DELAY_NS, Answer, HttpPoster, parse_retry_after
from strep import __version__
from strep.clock import NS_PER_SECOND
from tests.webhooks.receiver import Receiver, Script, answer, free_port

AT_NS = 1_780_000_000 * NS_PER_SECOND  # Thu, 28 May 2026 20:26:40 GMT
BODY = b'{"data":{},"meta":{}}'
IMPATIENT_S = 0.3
PATIENT_S = 30.0


async def post(url: str, timeout_s: float = PATIENT_S, times: int = 1) -> list[Answer]:
    poster = HttpPoster(timeout_s, timeout_s)
    try:
        return [await poster.post(url, {"telnyx-timestamp": "1"}, BODY, AT_NS) for _ in range(times)]
    finally:
        await poster.close()


async def answered(script: Script, timeout_s: float = PATIENT_S) -> Answer:
    with Receiver(script) as receiver:
        return (await post(receiver.url, timeout_s))[0]


async def test_what_is_posted() -> None:
    with Receiver() as receiver:
        assert (await post(receiver.url))[0] == Answer(Outcome.TAKEN, 0, "HTTP 200")
        [posted] = receiver.posted
    assert posted.body == BODY
    assert posted.headers["content-type"] == "application/json"
    assert posted.headers["user-agent"] == f"strep/{__version__}"
    assert posted.headers["telnyx-timestamp"] == "1"
    assert "cookie" not in posted.headers


@pytest.mark.parametrize("status", [200, 400, 429, 500])
async def test_a_status_is_an_outcome(status: int) -> None:
    assert (await answered(lambda _: answer(status))).detail == f"HTTP {status}"


async def test_a_redirect_is_not_followed() -> None:
    with Receiver() as elsewhere:
        told = await answered(lambda _: answer(307, f"Location: {elsewhere.url}"))
        assert told.outcome is Outcome.FAILED
        assert elsewhere.posted == []


async def test_a_cookie_is_not_kept() -> None:
    with Receiver(lambda _: answer(200, "Set-Cookie: a=b")) as receiver:
        await post(receiver.url, times=2)
        assert ["cookie" in posted.headers for posted in receiver.posted] == [False, False]


async def test_how_long_to_wait_is_read() -> None:
    told = await answered(lambda _: answer(429, "Retry-After: 7"))
    assert (told.outcome, told.retry_after_ns) == (Outcome.BUSY, 7 * NS_PER_SECOND)


class TestReceiversThatDoNotAnswer:
    async def test_one_that_hangs(self) -> None:
        assert (await answered(lambda _: None, IMPATIENT_S)).outcome is Outcome.FAILED

    async def test_one_that_closes(self) -> None:
        assert (await answered(lambda _: b"")).outcome is Outcome.FAILED

    async def test_one_that_breaks_off_in_its_head(self) -> None:
        assert (await answered(lambda _: b"HTTP/1.1 200 OK\r\nContent-", IMPATIENT_S)).outcome is Outcome.FAILED

    async def test_one_that_does_not_speak_http(self) -> None:
        assert (await answered(lambda _: b"220 smtp ready\r\n\r\n")).outcome is Outcome.FAILED

    async def test_one_whose_headers_never_end(self) -> None:
        endless = b"HTTP/1.1 200 OK\r\n" + b"".join(b"x-%d: %b\r\n" % (n, b"y" * 60_000) for n in range(30))
        assert (await answered(lambda _: endless, IMPATIENT_S)).outcome is Outcome.FAILED

    async def test_one_that_does_not_speak_tls(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            poster = HttpPoster(connect_timeout_s=0.05, timeout_s=PATIENT_S)
            told = await poster.post(f"https://127.0.0.1:{server.getsockname()[1]}/", {}, BODY, AT_NS)
            await poster.close()
        assert told.outcome is Outcome.UNREACHABLE

    @pytest.mark.parametrize("said", [b"220 smtp ready\r\n\r\n", b"", b"HTTP/1.1 200 OK\r\nContent-"])
    async def test_no_secret_of_a_url_is_told(self, said: bytes) -> None:
        with Receiver(lambda _: said) as receiver:
            secret = receiver.url.replace("http://", "http://user:secret@") + "?token=secret"
            told = (await post(secret, IMPATIENT_S))[0]
        assert told.detail
        assert "secret" not in told.detail

    @pytest.mark.parametrize("url", ["https://user:secret@{}/?token=secret", "http://user:secret@{}:x/?token=secret"])
    async def test_nor_of_one_that_cannot_be_reached(self, url: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            poster = HttpPoster(connect_timeout_s=0.05, timeout_s=PATIENT_S)
            netloc = f"127.0.0.1:{server.getsockname()[1]}"
            told = await poster.post(url.format(netloc), {}, BODY, AT_NS)
            await poster.close()
        assert told.detail
        assert "secret" not in told.detail

    async def test_nobody_there(self) -> None:
        with free_port() as port:
            told = (await post(f"http://127.0.0.1:{port}/hook"))[0]
        assert told.outcome is Outcome.UNREACHABLE

    @pytest.mark.parametrize("url", ["http://no-such-host.invalid/hook", "http://127.0.0.1:1/hook"])
    async def test_nowhere(self, url: str) -> None:
        assert (await post(url))[0].outcome is Outcome.UNREACHABLE

    async def test_one_whose_certificate_nobody_vouches_for(self, tmp_path: Path) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate(tmp_path))
        connected = asyncio.Event()
        server = await asyncio.start_server(lambda *_: connected.set(), "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        async with server:
            told = (await post(f"https://127.0.0.1:{port}/hook"))[0]
        assert (told.outcome, "certificate" in told.detail) == (Outcome.UNREACHABLE, True)
        assert not connected.is_set()


class TestBodiesOfAnswers:
    """Nobody reads them; the status has been said when they begin."""

    async def test_a_short_one_lets_the_connection_be_used_again(self) -> None:
        with Receiver(lambda _: answer(body=b"thank you")) as receiver:
            assert [told.outcome for told in await post(receiver.url, times=3)] == [Outcome.TAKEN] * 3

    async def test_a_long_one_is_not_read(self) -> None:
        told = await answered(lambda _: answer(body=bytes(1000 * MAX_ANSWER_BYTES)))
        assert told.outcome is Outcome.TAKEN

    async def test_one_that_does_not_come(self) -> None:
        told = await answered(lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", IMPATIENT_S)
        assert told.outcome is Outcome.TAKEN

    async def test_one_that_is_no_gzip_as_it_says(self) -> None:
        assert (await answered(lambda _: answer(200, "Content-Encoding: gzip", body=b"x"))).outcome is Outcome.TAKEN


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("", 0),
        ("0", 0),
        ("120", 120),
        (" 7 ", 7),
        ("-5", 0),
        ("1.5", 0),
        ("soon", 0),
        ("9" * 400, MAX_DELAY_NS // NS_PER_SECOND),
        ("Thu, 28 May 2026 20:27:40 GMT", 60),
        ("Thu, 28 May 2026 20:00:00 GMT", 0),
        ("Thu, 28 May 9999 20:00:00 GMT", MAX_DELAY_NS // NS_PER_SECOND),
        ("Thu, 99 May 2026 20:00:00 GMT", 0),
        ("٣", 0),
    ],
)
def test_retry_after(text: str, seconds: int) -> None:
    assert parse_retry_after(text, AT_NS) == seconds * NS_PER_SECOND


def certificate(folder: Path) -> Path:
    """Make a certificate for 127.0.0.1 that signs itself."""
    from datetime import datetime
    from ipaddress import IPv4Address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(datetime(2020, 1, 1))
        .not_valid_after(datetime(2120, 1, 1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + made.public_bytes(Encoding.PEM))
    return path
