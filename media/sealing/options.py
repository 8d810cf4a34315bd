"""The options of `strep serve` that seal what is written."""

from __future__ import annotations

from media.formats import Format
from media.option import Option
from media.sealing.keys import parse_recipient

SEALING = "Encryption at rest"

SEALING_OPTIONS = (
    Option(
        "encrypt_to",
        SEALING,
        Format("RECIPIENT", parse_recipient, is_secret=True),
        "age1e3xsafc4txarztsznmx92k5hkez453kjh0xf85802yyrsvrf2qxsm59a0w",
        "Seal recordings, takes, events and transcripts for who has the private key to this public one, which is all "
        "that this machine needs: `strep keygen` makes both, `strep unseal` opens. Nothing said is ever in clear on "
        "the disk. Needs strep[encrypt]. Repeatable.",
        repeatable=True,
    ),
)
