"""How options are written."""

from __future__ import annotations

from typing import Any

import click
import pytest

from media.carrier.network import Span
from media.carrier.parameters import ADDRESS, NUMBER, PRESS, RTP_ADDRESS, SECONDS, SHARE, SPAN
from strep.clock import NS_PER_SECOND

GOOD = [
    (ADDRESS, "127.0.0.1:9000", ("127.0.0.1", 9000)),
    (ADDRESS, "[::1]:9000", ("::1", 9000)),
    (RTP_ADDRESS, "media.test:4000,4001", (("media.test", 4000), ("media.test", 4001))),
    (SHARE, "2%", 0.02),
    (SHARE, "0.5", 0.5),
    (SHARE, "0", 0.0),
    (SECONDS, "2.5", 5 * NS_PER_SECOND // 2),
    (PRESS, "2.5:1#a", (5 * NS_PER_SECOND // 2, "1#A")),
    (SPAN, "4+5.5", Span(4 * NS_PER_SECOND, 11 * NS_PER_SECOND // 2)),
]
BAD = [
    (ADDRESS, "127.0.0.1", "HOST:PORT"),
    (ADDRESS, ":9000", "HOST:PORT"),
    (ADDRESS, "host:0", "port"),
    (ADDRESS, "host:65536", "port"),
    (ADDRESS, "host:²", "port"),
    (RTP_ADDRESS, "host:4000", "TXPORT"),
    (RTP_ADDRESS, "host:4000,x", "port"),
    (SHARE, "two", "share"),
    (SHARE, "2", "fraction"),
    (SHARE, "-1%", "share"),
    (SHARE, "nan", "share"),
    (NUMBER, "nan", "number"),
    (NUMBER, "inf", "number"),
    (SECONDS, "soon", "seconds"),
    (SECONDS, "-1", "seconds"),
    (SECONDS, "nan", "seconds"),
    (PRESS, "2", "SECONDS:DIGITS"),
    (PRESS, "2:12#,6:3", "give --press again for another moment"),
    (SPAN, "4", "START+LENGTH"),
    (SPAN, "4+", "seconds"),
]


@pytest.mark.parametrize(("parameter", "text", "value"), GOOD)
def test_good(parameter: click.ParamType, text: str, value: Any) -> None:  # type: ignore[type-arg]
    assert parameter.convert(text, None, None) == value


@pytest.mark.parametrize(("parameter", "text", "hint"), BAD)
def test_bad(parameter: click.ParamType, text: str, hint: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(click.BadParameter, match=hint.replace("+", r"\+")):
        parameter.convert(text, None, None)
