"""`strep calls`: a line for each live call."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from media import cli
from tests.terminal.fake import call_of, fake_server


@pytest.mark.parametrize(
    ("quiet_ms", "shown"),
    [((2000,), ""), ((12_300,), "\tquiet 12 s"), ((12_300, 20), ""), ((12_300, 5000), "\tquiet 5 s"), ((), "")],
)
def test_a_call_of_which_nothing_comes_is_marked(quiet_ms: tuple[int, ...], shown: str) -> None:
    """By the track of which something came last."""
    [track] = call_of("alpha")["tracks"]
    with fake_server() as server:
        server.calls = [call_of("alpha", tracks=[track | {"quiet_ms": each} for each in quiet_ms])]
        result = CliRunner(env={"STREP_URL": server.url}).invoke(cli.strep, ["calls"])
    assert result.exit_code == cli.OK
    directions, count = "+".join(["inbound"] * len(quiet_ms)) or "none", len(quiet_ms)
    assert result.output == f"alpha\t{min(count, 1)}.0 s\t8000 Hz\t{directions}\t{count} lost{shown}\n"
