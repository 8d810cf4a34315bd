"""What docs/listening.md says of digits and machines is so: its programs run, its tables are the code's."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from media.hearing.machine import MachineRules
from media.talk.call import LiveCall
from media.talk.detecting import HEARD_BY
from media.talk.gathering import GatherRules
from tests.hearing.audio import silence
from tests.talk.line import Line, murmur
from tests.talk.switchboard import TONE

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "listening.md").read_text(encoding="utf-8")


def part(heading: str) -> str:
    return PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def table(heading: str) -> list[list[str]]:
    rows = [line for line in part(heading).splitlines() if line.startswith("|")][2:]
    return [[cell.strip().strip("`") for cell in row.strip("|").split("|")] for row in rows]


def program(heading: str) -> Any:
    [text] = re.findall(r"```python\n(.*?)```", part(heading), re.DOTALL)
    scope: dict[str, Any] = {}
    exec(compile(text, "listening.md", "exec"), scope)
    return next(value for name, value in scope.items() if callable(value) and value is not LiveCall)


@pytest.mark.parametrize(("heading", "rules"), [("Digits and gather", GatherRules), ("Machines", MachineRules)])
def test_rules_and_defaults(heading: str, rules: type) -> None:
    documented = {name: default for name, default, *_ in table(heading)}
    defaults = {field.name: getattr(rules(), field.name) for field in fields(rules)}
    assert set(documented) == set(defaults)
    for name, default in defaults.items():
        assert re.split(r"[,;`]", documented[name])[0] == str(default).lower(), name


def test_kinds_of_detections() -> None:
    said = part("Digits and gather").partition("`call.detect(kind)`")[2]
    assert all(f'`"{kind}"`' in said for kind in HEARD_BY)


class Spoken(Line):
    """Its speech is a tone, and a text."""

    def __init__(self, act: Any) -> None:
        self.texts: list[str] = []

        async def app(call: LiveCall) -> Any:
            async def speak(text: str, **_: Any) -> Any:
                self.texts.append(text)
                return await LiveCall.play(call, TONE[:800], rate_hz=8000)

            call.speak = speak  # type: ignore[method-assign]
            return await act(call)

        super().__init__(app)


async def test_the_order_number() -> None:
    line = Spoken(program("Digits and gather"))
    await line.press(*"12#")
    await line.press(*"123456")
    await line.wait(40)
    assert line.texts[1:] == ["An order number has six digits.", line.texts[0], "Thank you for 1 2 3 4 5 6."]
    await line.close()


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.6, "Your appointment is tomorrow"), (5.0, "This is Doctor Hamilton's office")]
)
async def test_the_reminder(seconds: float, expected: str) -> None:
    line = Spoken(program("Machines"))
    await line.say(np.concatenate([silence(0.5), murmur(seconds), silence(2)]))
    assert line.texts[0].startswith(expected)
    await line.close()
