"""The documents' own examples: what each dialect sends, and the frames that it means."""

from __future__ import annotations

from collections.abc import Callable

from media.ws.dialects.dialect import Dialect
from media.ws.dialects.signalwire import SIGNALWIRE
from media.ws.dialects.signalwire_tap import SIGNALWIRE_TAP
from media.ws.dialects.telnyx import TELNYX
from media.ws.dialects.tryvox import DEFAULT_FORMAT, TRYVOX
from media.ws.dialects.twilio import TWILIO
from media.ws.messages import (
    CarrierFrame,
    Connected,
    Dtmf,
    DtmfBody,
    Frame,
    Mark,
    MarkBody,
    Media,
    MediaBody,
    MediaFormat,
    Start,
    StartBody,
    Stop,
)

OWN_ID, OWN_TRACK = "tap-1", "inbound"
"""What parsers are given for dialects that have none."""


def reader(dialect: Dialect) -> Callable[[str | bytes], Frame]:
    """Return what parses messages of one connection, text as str and binary as bytes."""
    parser = dialect.parser(OWN_ID, OWN_TRACK)
    return lambda message: parser.parse_binary(message) if isinstance(message, bytes) else parser.parse(message)


MU_LAW = MediaFormat("audio/x-mulaw", 8000, 1)

MZ = "MZ18ad3ab5a668481ce02b83e7395059f0"
CA, AC = "CA8f2ebe2b1f6d4e2fb3c8d25ad8d6ca8f", "AC5ef872f6da5a21de157d80997a64bd33"
TWILIO_SAYS: list[tuple[str, CarrierFrame]] = [
    ('{"event":"connected","protocol":"Call","version":"1.0.0"}', Connected("1.0.0")),
    (
        f"""{{"event":"start","sequenceNumber":"1","start":{{"accountSid":"{AC}","streamSid":"{MZ}","callSid":"{CA}",
        "tracks":["inbound"],"mediaFormat":{{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1}},
        "customParameters":{{"FirstName":"Jane"}}}},"streamSid":"{MZ}"}}""",
        Start(
            StartBody(
                MU_LAW, tracks=["inbound"], custom_parameters={"FirstName": "Jane"}, call_sid=CA, account_sid=AC
            ),
            MZ,
            1,
        ),
    ),
    (
        f"""{{"event":"media","sequenceNumber":"3","media":{{"track":"outbound","chunk":"1","timestamp":"5",
        "payload":"no+JhoaJjpzSHxAK"}},"streamSid":"{MZ}"}}""",
        Media(MediaBody(bytes.fromhex("9e8f898686898e9cd21f100a"), "outbound", 1, 5), MZ, 3),
    ),
    (
        f"""{{"event":"dtmf","streamSid":"{MZ}","sequenceNumber":"5",
        "dtmf":{{"track":"inbound_track","digit":"1"}}}}""",
        Dtmf(DtmfBody("1", "inbound"), None, MZ, 5),
    ),
    (
        f'{{"event":"mark","sequenceNumber":"4","streamSid":"{MZ}","mark":{{"name":"my label"}}}}',
        Mark(MarkBody("my label"), MZ, 4),
    ),
    (
        f"""{{"event":"stop","sequenceNumber":"5","stop":{{"accountSid":"{AC}","callSid":"{CA}"}},
        "streamSid":"{MZ}"}}""",
        Stop({"accountSid": AC, "callSid": CA}, MZ, 5),
    ),
]

SW = "3b9c1b1e-0a8b-4e56-9a30-1f3a3c0f0d11"
SIGNALWIRE_SAYS: list[tuple[str, CarrierFrame]] = [
    ('{"event":"connected","protocol":"Call","version":"0.2.0"}', Connected("0.2.0")),
    (
        f"""{{"event":"start","sequenceNumber":"1","start":{{"streamSid":"{SW}","accountSid":"a1f0","callSid":"0d1b",
        "tracks":["inbound"],"customParameters":{{"tenant":"t9"}},
        "mediaFormat":{{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1}}}}}}""",
        Start(
            StartBody(
                MU_LAW, tracks=["inbound"], custom_parameters={"tenant": "t9"}, call_sid="0d1b", account_sid="a1f0"
            ),
            SW,
            1,
        ),
    ),
    (
        """{"event":"media","sequenceNumber":"2",
        "media":{"track":"inbound","chunk":"1","timestamp":"0","payload":"////"}}""",
        Media(MediaBody(b"\xff\xff\xff", "inbound", 1, 0), None, 2),
    ),
    (
        '{"event":"dtmf","sequenceNumber":"31","dtmf":{"digit":"5","duration":160}}',
        Dtmf(DtmfBody("5", None, 160), None, None, 31),
    ),
    (f'{{"event":"mark","streamSid":"{SW}","mark":{{"name":"m1"}}}}', Mark(MarkBody("m1"), SW)),
    ('{"event":"stop","sequenceNumber":"99"}', Stop(None, None, 99)),
]

TRYVOX_SAYS: list[tuple[str, CarrierFrame]] = [
    (
        """{"event":"start","stream_id":"s-1","call_uuid":"c-1","account_id":"a-1","from":"+15550100",
        "to":"+15550111","custom_parameters":{"tenant":"t9"}}""",
        Start(
            StartBody(
                DEFAULT_FORMAT,
                from_="+15550100",
                to="+15550111",
                custom_parameters={"tenant": "t9"},
                call_uuid="c-1",
                account_id="a-1",
            ),
            "s-1",
        ),
    ),
    (
        '{"event":"media","stream_id":"s-1","track":"inbound","payload":"////","timestamp":20}',
        Media(MediaBody(b"\xff\xff\xff", "inbound", None, 20), "s-1"),
    ),
    ('{"event":"stop","stream_id":"s-1"}', Stop(None, "s-1")),
]

TELNYX_SAYS: list[tuple[str, CarrierFrame]] = [
    ('{"event":"connected","version":"1.0.0"}', Connected("1.0.0")),
    (
        """{"event":"start","sequence_number":"1","stream_id":"5B0F3F0E-3C5D-4E0E-9C39-2F9A6B1D7C10",
        "start":{"call_control_id":"v3:q1Zk0aTx","media_format":{"encoding":"PCMU","sample_rate":8000,"channels":1}}}""",
        Start(
            StartBody(MediaFormat("PCMU", 8000, 1), call_control_id="v3:q1Zk0aTx"),
            "5B0F3F0E-3C5D-4E0E-9C39-2F9A6B1D7C10",
            1,
        ),
    ),
    (
        """{"event":"media","sequence_number":"2","stream_id":"5b0f3f0e-3c5d-4e0e-9c39-2f9a6b1d7c10",
        "media":{"track":"inbound","chunk":"1","timestamp":"20","payload":"////"}}""",
        Media(MediaBody(b"\xff\xff\xff", "inbound", 1, 20), "5b0f3f0e-3c5d-4e0e-9c39-2f9a6b1d7c10", 2),
    ),
    (
        '{"event":"stop","sequence_number":"400","stream_id":"5b0f3f0e-3c5d-4e0e-9c39-2f9a6b1d7c10"}',
        Stop(None, "5b0f3f0e-3c5d-4e0e-9c39-2f9a6b1d7c10", 400),
    ),
]

TAP_SAYS: list[tuple[str | bytes, CarrierFrame]] = [
    (
        '{"content-type": "audio/mulaw;rate=8000"}',
        Start(StartBody(MediaFormat("audio/mulaw;rate=8000"), tracks=[OWN_TRACK]), OWN_ID),
    ),
    (b"\xff" * 160, Media(MediaBody(b"\xff" * 160, OWN_TRACK))),
]

SAYS: dict[Dialect, list[tuple[str, CarrierFrame]]] = {
    TELNYX: TELNYX_SAYS,
    TWILIO: TWILIO_SAYS,
    SIGNALWIRE: SIGNALWIRE_SAYS,
    TRYVOX: TRYVOX_SAYS,
}
"""The dialects of text, by what they say."""
CONVERSATIONS: dict[Dialect, list[str | bytes]] = {
    **{dialect: [text for text, _ in said] for dialect, said in SAYS.items()},
    SIGNALWIRE_TAP: [message for message, _ in TAP_SAYS],
}
"""A whole conversation in each."""
