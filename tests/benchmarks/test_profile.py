"""The groups into which `strep bench profile` sorts samples, and the question itself where perf(1) is there."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from benchmarks import profile
from tests.benchmarks.test_questions import ask

pytestmark = pytest.mark.bench


@pytest.mark.parametrize(
    ("file", "symbol", "group"),
    [
        ("[kernel.kallsyms]", "__sock_recv_timestamp", "kernel: addresses and time stamps"),
        ("[kernel.kallsyms]", "_copy_to_iter", "kernel: copying packets to us"),
        ("[kernel.kallsyms]", "skb_attempt_defer_free", "kernel: buffers back to the sender's core"),
        ("[kernel.kallsyms]", "copy_folio_from_iter_atomic", "kernel: writing files"),
        ("[kernel.kallsyms]", "udp_recvmsg", "kernel: the rest"),
        ("_multiarray_umath.cpython-311-x86_64-linux-gnu.so", "LONG_add", "numpy"),
        ("libc.so.6", "__memmove_avx512_unaligned_erms", "memmove: rows copied by numpy"),
        ("libc.so.6", "_int_malloc", "Python's interpreter"),
        ("libpython3.11.so.1.0", "_PyEval_EvalFrameDefault", "Python's interpreter"),
        ("loop.cpython-311-x86_64-linux-gnu.so", "uv__io_poll", "event loop and others"),
    ],
)
def test_groups(file: str, symbol: str, group: str) -> None:
    assert profile.group_of(file, symbol) == group


@pytest.mark.realtime
@pytest.mark.skipif(not sys.platform.startswith("linux") or shutil.which("perf") is None, reason="needs perf(1)")
def test_the_shares_of_a_thread_add_up_to_what_was_measured_of_it(tmp_path: Path) -> None:
    report = ask(profile.QUESTION, profile.Settings(legs=20, ramp=100, seconds=1.5), tmp_path)
    assert report.complaints == []
    *groups, whole = report.tables[0].cells
    for column in (2, 3):
        figures = [float(cells[column].replace(",", "")) for cells in groups]
        assert sum(figures) == pytest.approx(float(whole[column].replace(",", "")), abs=len(groups))


def test_without_perf_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    report = ask(profile.QUESTION, profile.Settings(), tmp_path)
    assert report.complaints == ["perf(1) is missing (Debian: linux-perf)"]
