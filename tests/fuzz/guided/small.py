"""Small parsers: tokens, signatures, parameters of the HTTP door, PCM messages, answers of NATS, webhooks that come.

Promises: nothing but what they say is raised; nobody is let in who does not show what is known; what is a secret is
in no log.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

from media.admission.credentials import of_parameters, of_request, without_tokens
from media.admission.tokens import MIN_CHARACTERS, TokenGate, Verdict, sign
from media.admission.twilio import _sign, is_signed
from media.feed import wire
from media.feed.selection import Selection, SelectionError
from media.http import events
from media.http.access import Access
from media.http.api import ApiError
from media.http.calls import number_of
from media.nats.answers import parse_answer
from media.nats.names import call_id_of, place_of, token
from media.webhooks.incoming import OUTCOMES, Incoming
from media.webhooks.signing import Verifier
from strep.clock import NS_PER_SECOND
from strep.errors import WireError
from strep.header import Direction
from tests.fuzz.guided.target import Bytes, Target, pieces

KEY, TOKEN, TWILIO = b"k" * 32, "t" * 20, "a" * 32
NOW_NS = 10**6 * NS_PER_SECOND
GOOD = {TOKEN, sign(KEY, 10**6 + 5, "nonce")}


def check_small(data: bytes) -> None:
    """The first byte chooses the parser."""
    given = Bytes(data)
    CHECKS[given.byte() % len(CHECKS)](given)


def text(data: bytes) -> str:
    """As `websockets` and aiohttp make text of a request."""
    return data.decode("utf-8", "surrogateescape")


def check_tokens(given: Bytes) -> None:
    gate = TokenGate([TOKEN], KEY)
    path = text(given.piece())
    headers, bearers = [text(given.piece())], [text(given.piece())]
    shown = of_request(path, headers, bearers)
    plain = (*shown.plain, *shown.perhaps)
    for stream_id in (None, "a", "b"):
        verdict = gate.judge(plain, NOW_NS, stream_id)
        assert verdict is not Verdict.GOOD or not GOOD.isdisjoint(plain)
    logged = without_tokens(path)
    assert all(len(part) < MIN_CHARACTERS for part in re.split("[/?&=]", logged))
    document = {"custom_parameters": {text(given.piece()): text(given.piece()), "token": text(given.rest())}}
    _, said = of_parameters(document)
    assert "token" not in said["custom_parameters"]


def check_signatures(given: Bytes) -> None:
    url, signature = text(given.piece()), text(given.piece())
    forms = {url, url.rstrip("/"), url.rstrip("/") + "/"}
    good = {_sign(TWILIO, form).decode() for form in forms}
    assert is_signed(TWILIO, signature, url) == (signature in good)
    assert is_signed(TWILIO, _sign(TWILIO, url).decode(), url)


def check_http(given: Bytes) -> None:
    headers = {"Host": text(given.piece()), "Origin": text(given.piece()), "Authorization": text(given.piece())}
    denial = Access(TOKEN).denial(headers)
    assert (denial is None) == (
        headers["Authorization"][:7].lower() == "bearer " and headers["Authorization"][7:] == TOKEN
    )
    Access().denial(headers)
    query, call_id = (given.piece().decode(errors="replace") for _ in range(2))  # aiohttp lets nothing else through
    try:
        selection = Selection.parse(query)
    except SelectionError:
        pass
    else:
        assert Selection.parse(selection.describe()) == selection
        selection.wants(call_id)
    pairs = {"offset": query, "calls": query, "events": call_id}
    for read in (lambda request: number_of(request, "offset", 0, 10**9), _wanted):
        _unless_refused(read, SimpleNamespace(query=pairs))


def _wanted(request: Any) -> None:
    del request.query["offset"]
    calls, kinds = events._wanted(request)
    events.EventQueue(calls, kinds, lambda: None)


def _unless_refused(read: Callable[[Any], object], request: SimpleNamespace) -> None:
    try:
        read(request)
    except ApiError as error:
        assert 400 <= error.status < 500  # noqa: PT017


def check_pcm(given: Bytes) -> None:
    content = given.rest()
    try:
        message = wire.parse(content)
    except WireError:
        return
    again = wire.parse(wire.serialize(message))
    assert bytes(again.payload) == bytes(message.payload)
    assert message.samples <= wire.MAX_SAMPLES
    assert len(message.pcm()) == message.samples


def check_answers(given: Bytes) -> None:
    status, content = text(given.piece()), given.rest()
    parse_answer(content, status if status == "503" else "")
    place_of(text(content))
    call_id = content.decode(errors="replace")
    assert call_id_of(token(call_id)) == call_id
    assert not set(token(call_id)) & set(". *>\r\n")


class Believing(Verifier):
    """Believes every other request, so that its body is read."""

    def __init__(self) -> None:
        super().__init__(["A" * 43 + "="])

    def denial(self, signature: str, timestamp: str, body: bytes, wall_seconds: float) -> str:
        denial = super().denial(signature, timestamp, body, wall_seconds)
        return "" if denial == "bad_signature" and signature == "believe" else denial


def check_webhooks(given: Bytes) -> None:
    incoming = Incoming(Believing())
    signature, timestamp = text(given.piece()), text(given.piece())
    while given:
        judgement = incoming.judge(signature, timestamp, given.piece(), NOW_NS)
        assert judgement.outcome in OUTCOMES
        assert 200 <= judgement.status < 500
        if judgement.notice is not None:
            assert signature == "believe"
            incoming.done(judgement.notice, NOW_NS)


CHECKS = (check_tokens, check_signatures, check_http, check_pcm, check_answers, check_webhooks)


def small_seeds() -> Iterator[bytes]:
    for shown in (TOKEN, sign(KEY, 10**6 + 5, "nonce"), sign(KEY, 5, "old")):
        secret = shown.encode()
        yield b"\0" + pieces(b"/telnyx/" + secret, b"", b"") + b"x"
        yield b"\0" + pieces(b"/?token=" + secret + b"&a=%ff", secret, b"Bearer " + secret, b"auth_token", secret)
    yield b"\1" + pieces(b"wss://a/b?c=d", _sign(TWILIO, "wss://a/b?c=d"))
    bearer = b"Bearer " + TOKEN.encode()
    yield b"\2" + pieces(b"[::1]:80", b"http://localhost", bearer, b"calls=a*[b-c]&track=both&rate=16k", b"leg")
    yield b"\2" + pieces(b"127.0.0.1", b"http://127.0.0.1", b"", b"12", b"call.started,call.ended")
    yield b"\2" + pieces(b"", b"", b"", b"9" * 5000, b"")
    for form in wire.SampleFormat:
        payload = bytes(8 * form.sample_bytes)
        yield b"\3" + wire.serialize(wire.PcmMessage("leg", Direction.INBOUND, 8000, form, 160, 1, 10**18, payload))
    yield b"\4\0" + b'{"stream":"S","seq":5,"duplicate":true}'
    yield b"\4\0" + b'{"error":{"code":404,"err_code":10037,"description":"no message"}}'
    yield b"\4\0" + b'{"message":{"subject":"a","seq":1,"hdrs":"TkFUUy8xLjANCk5hdHMtTXNnLUlkOiBhLmV2ZW50LjEuMg0K"}}'
    yield b"\4\0" + b'{"error":' + b"[" * 2000
    yield b"\4\3" + b"503"
    leg = b'{"data":{"event_type":"call.fork.%b","id":"i","occurred_at":"2026-01-01T00:00:0%dZ","payload":%b}}'
    said = b'{"call_leg_id":"7f3a1c52-c9d0-11f0-8e41-02420a5b6c7d"}'
    bodies = [leg % (event, second, said) for second, event in enumerate((b"started", b"stopped", b"started"))]
    yield b"\5" + pieces(b"believe", b"1000000", *bodies, b"[" * 2000)
    yield b"\5" + pieces(b"QUJD", b"1000000", bodies[0])
    yield b"\5" + pieces(b"believe", b"9" * 5000, bodies[0])


SMALL = Target("small", check_small, small_seeds, 6000)
