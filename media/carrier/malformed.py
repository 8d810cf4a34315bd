"""Rubbish that reaches a media port, made on purpose, and the reason a receiver has to give for each piece.

Every kind is named like the `strep.reject.Reject` it must end as. What a random datagram ends as is
decided by the scalar parsers, which are the batch parser's oracle.
"""

from __future__ import annotations

import struct

import numpy as np

from strep import header, rtp
from strep.errors import WireError

_SIP = b"OPTIONS sip:media@198.51.100.7 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.9\r\n\r\n"
_T38 = bytes.fromhex("0005 0301 0000 0000 06")
_RTCP_REPORT = struct.pack("!BBHI5I", 0x80, 200, 6, 0x5151, 0, 0, 0, 1, 160)
_RTP_PACKET = rtp.serialize(rtp.RtpPacket(0, 1, 160, 0x5151, b"\xff" * 160))
_RTP_PADDED = b"\xa0" + _RTP_PACKET[1:-1] + b"\xff"
_RTP_LONG_CSRC = b"\x8f" + _RTP_PACKET[1:40]

RANDOM = "RANDOM"
KINDS = (
    "EMPTY",
    "SIP",
    "T38",
    "RTCP",
    "TRUNCATED",
    "RTP_LENGTH",
    "RTP_PADDING",
    RANDOM,
    "RTP_VERSION",  # from here on under STREP only
    "RTP_WITHOUT_STREP",
    "STREP_VERSION",
    "STREP_HEADER_LENGTH",
)
"""What can be made. On a bare RTP port the list is cut after RANDOM, and STREP_WITHOUT_RTP added."""


def make(count: int, strep_header: bytes, random: np.random.Generator, *, is_strep: bool) -> list[bytes]:
    """Return `count` datagrams, every kind about equally often.

    Args:
        count: how many.
        strep_header: of a track that exists, 24 bytes or more, to put in front of broken RTP.
        random: decides kinds and bytes.
        is_strep: the port takes STREP, not bare RTP.
    """
    kinds = KINDS if is_strep else (*KINDS[: KINDS.index(RANDOM) + 1], "STREP_WITHOUT_RTP")
    return [
        _datagram(kinds[kind], strep_header, random, is_strep) for kind in random.integers(len(kinds), size=count)
    ]


def reason(datagram: bytes, *, is_strep: bool) -> str:
    """Return the name of the `Reject` that `datagram` must end as on such a port; "NONE" if it is media."""
    if not datagram:
        return "EMPTY"
    magic = datagram[0] >> 6
    if magic < 0b10:
        return ("T38", "SIP")[magic]
    if is_strep and magic == 0b10:
        is_rtcp = len(datagram) > 1 and datagram[1] in rtp.RTCP_PAYLOAD_TYPES
        return "RTCP" if is_rtcp else "RTP_WITHOUT_STREP"
    if not is_strep and magic == header.MAGIC:
        return "STREP_WITHOUT_RTP"
    try:
        start = header.parse(datagram).header_length_bytes if is_strep else 0
        rtp.parse(datagram[start:])
    except WireError as error:
        return error.reason
    return "NONE"


def _datagram(kind: str, strep_header: bytes, random: np.random.Generator, is_strep: bool) -> bytes:
    if kind == RANDOM:
        return _random_bytes(random, is_strep)
    front = strep_header if is_strep else b""
    cut = int(random.integers(1, len(front) + rtp.FIXED_HEADER_BYTES))
    return {
        "EMPTY": b"",
        "SIP": _SIP,
        "T38": _T38,
        "RTCP": (front if random.random() < 0.5 else b"") + _RTCP_REPORT,
        "TRUNCATED": (front + _RTP_PACKET)[:cut],
        "RTP_LENGTH": front + _RTP_LONG_CSRC,
        "RTP_PADDING": front + _RTP_PADDED,
        "RTP_VERSION": front + b"\x40" + _RTP_PACKET[1:],
        "RTP_WITHOUT_STREP": _RTP_PACKET,
        "STREP_WITHOUT_RTP": strep_header + _RTP_PACKET,
        "STREP_VERSION": bytes([strep_header[0] ^ 0b1100]) + strep_header[1:] + _RTP_PACKET,
        "STREP_HEADER_LENGTH": strep_header[:1] + b"\x17" + strep_header[2:] + _RTP_PACKET,
    }[kind]


def _random_bytes(random: np.random.Generator, is_strep: bool) -> bytes:
    while True:
        datagram = random.bytes(int(random.integers(1, 240)))
        if reason(datagram, is_strep=is_strep) != "NONE":
            return datagram
