"""Events and transcripts: sealed as they happen, and what they would be in clear when they are opened."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from media.events.files import EventFile
from media.sealing.age import NoKeyFits
from media.sealing.opening import Opened
from media.sealing.records import Damaged
from media.transcribing.vtt import Cue, VttFile
from tests.sealing.people import ALICE, EVE, FOR_ALICE, in_clear
from tests.sinks.rows import call_info

CALL = call_info(call_id="leg")
NAME = "leg.events.jsonl.sealed"


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in in_clear(path).splitlines()]


def test_as_in_clear(tmp_path: Path) -> None:
    plain, sealed = EventFile(tmp_path, CALL), EventFile(tmp_path, CALL, recipients=FOR_ALICE)
    for batch in ([{"digit": "4711-first"}], [], [{"digit": "4711"}, {"text": "my card is 1234"}]):
        plain.append(batch)
        sealed.append(batch)
        assert in_clear(tmp_path / NAME) == (tmp_path / "leg.events.jsonl").read_bytes()
    assert b"4711" not in (tmp_path / NAME).read_bytes()
    assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o600
    with pytest.raises(NoKeyFits):
        in_clear(tmp_path / NAME, EVE)


def test_each_call_has_its_own(tmp_path: Path) -> None:
    for number in range(2):
        EventFile(tmp_path, CALL, recipients=FOR_ALICE).append([{"number": number}])
    assert lines(tmp_path / NAME)[1] == {"number": 0}
    assert lines(tmp_path / "leg.2.events.jsonl.sealed")[1] == {"number": 1}


def test_another_process_goes_on_behind_what_was_cut(tmp_path: Path) -> None:
    EventFile(tmp_path, CALL, recipients=FOR_ALICE).append([{"number": 0}])
    whole = (tmp_path / NAME).read_bytes()
    with (tmp_path / NAME).open("ab") as file:
        file.write(whole[-20:-5])  # of a head
    with Opened(tmp_path / NAME, [ALICE]) as opened:
        assert (opened.is_text, opened.is_complete, opened.cut_bytes) == (True, False, 15)
    later = EventFile.reopened(tmp_path, CALL, recipients=FOR_ALICE)
    later.append([{"number": 1}])
    later.append([{"number": 2}])
    head = {"event": "call", "call_id": "leg"}
    found = lines(tmp_path / NAME)
    assert [line.get("number") for line in found] == [None, 0, None, 1, 2]
    assert all(line.items() >= head.items() for line in (found[0], found[2]))


def test_two_that_write_into_one_do_not_harm_it(tmp_path: Path) -> None:
    one = EventFile(tmp_path, CALL, recipients=FOR_ALICE)
    one.append([{"number": 0}])
    EventFile.reopened(tmp_path, CALL, recipients=FOR_ALICE).append([{"number": 1}])
    one.append([{"number": 2}])
    assert [line["number"] for line in lines(tmp_path / NAME) if "number" in line] == [0, 1, 2]


def test_nothing_is_added_to_what_is_none_of_ours(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"something else, and long enough for a head")
    with pytest.raises(OSError, match="no sealed file"):
        EventFile.reopened(tmp_path, CALL, recipients=FOR_ALICE).append([{"number": 1}])


def test_a_full_disk_leaves_whole_records_and_no_number_is_used_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = EventFile(tmp_path, CALL, recipients=FOR_ALICE)
    file.append([{"number": 0}])
    write = os.write

    def full(fd: int, content: bytes) -> int:
        if len(content) <= 10:
            raise OSError(28, "No space left on device")
        return int(write(fd, content[:10]))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(OSError, match="No space"):
            file.append([{"number": 1}])
    file.append([{"number": 2}])
    assert [line["number"] for line in lines(tmp_path / NAME) if "number" in line] == [0, 2]


def test_captions(tmp_path: Path) -> None:
    plain, sealed = VttFile(tmp_path, "leg"), VttFile(tmp_path, "leg", FOR_ALICE)
    for number in range(3):
        cue = Cue(number * 1000, number * 1000 + 500, "inbound", f"said {number}")
        plain.append([cue])
        sealed.append([cue])
    assert in_clear(tmp_path / "leg.vtt.sealed") == (tmp_path / "leg.vtt").read_bytes()
    assert b"said" not in (tmp_path / "leg.vtt.sealed").read_bytes()


def test_every_byte_counts(tmp_path: Path) -> None:
    file = EventFile(tmp_path, CALL, recipients=FOR_ALICE)
    file.append([{"number": 0}])
    file.append([{"number": 1}])
    content, path = (tmp_path / NAME).read_bytes(), tmp_path / "altered"
    for place in range(len(content)):
        altered = bytearray(content)
        altered[place] ^= 1 << place % 8
        path.write_bytes(altered)
        try:
            with Opened(path, [ALICE]) as opened:
                assert not opened.is_complete
        except (Damaged, NoKeyFits):
            pass
