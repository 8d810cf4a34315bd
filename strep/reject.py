"""Why a datagram was not taken as call audio: the closed set of reasons, with a text for people.

The first two bits of a datagram tell the protocols apart (STREP specification, "11"; RFC 7983 for the
idea): 11 STREP, 10 RTP or RTCP, 01 a capital letter and so SIP, 00 usually T.38.
"""

from __future__ import annotations

from enum import IntEnum


class Reject(IntEnum):
    """Reason codes of the batch parsers' ``reject`` column; 0 is "not rejected"."""

    NONE = 0
    EMPTY = 1
    SIP = 2
    T38 = 3
    RTCP = 4
    RTP_WITHOUT_STREP = 5
    STREP_WITHOUT_RTP = 6
    STREP_VERSION = 7
    STREP_HEADER_LENGTH = 8
    TRUNCATED = 9
    RTP_VERSION = 10
    RTP_LENGTH = 11
    RTP_PADDING = 12
    OVERSIZED = 13
    NO_ROOM = 14
    ADDRESS = 15
    SOURCE = 16
    QUARANTINE = 17
    CROWDED = 18
    ENDING = 19

    @property
    def text(self) -> str:
        """A sentence for logs and tables."""
        return _TEXT[self]


_TEXT = {
    Reject.NONE: "accepted",
    Reject.EMPTY: "datagram without a byte",
    Reject.SIP: "SIP or other text (first bits 01)",
    Reject.T38: "T.38 or other fax data (first bits 00)",
    Reject.RTCP: "RTCP report (payload type 192 to 223, RFC 5761)",
    Reject.RTP_WITHOUT_STREP: "bare RTP on a STREP port; give it a port of its own with --rtp",
    Reject.STREP_WITHOUT_RTP: "STREP on a plain RTP port; send it to the --udp port",
    Reject.STREP_VERSION: "STREP of a version other than 1",
    Reject.STREP_HEADER_LENGTH: "STREP HeaderLen below 24",
    Reject.TRUNCATED: "datagram shorter than its headers",
    Reject.RTP_VERSION: "RTP version other than 2 (RFC 3550 section 5.1)",
    Reject.RTP_LENGTH: "CSRC list or header extension longer than the datagram",
    Reject.RTP_PADDING: "padding count of zero or longer than the payload",
    Reject.OVERSIZED: "datagram larger than a media packet may be",
    Reject.ADDRESS: "from a network that may not send",
    Reject.SOURCE: "of a known leg, but from another source than its packets come from",
    Reject.QUARANTINE: "of a leg that nobody announced, and that was dropped from quarantine",
    Reject.CROWDED: "of an unknown leg, after many of them at once were turned away",
    Reject.ENDING: "of a call that would begin while the server ends",
    Reject.NO_ROOM: "no free track: the server is at its limit",
}
