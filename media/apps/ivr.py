"""A menu: a tone, who you are, or goodbye; a digit interrupts whatever is being said."""

from __future__ import annotations

import numpy as np

from media.talk.call import LiveCall

MENU = "Press 1 for a tone, 2 to hear who you are, or 9 to hang up."
RATE_HZ = 8000


async def ivr(call: LiveCall) -> None:
    """Be the application of one call."""
    await call.speak(f"Welcome. {MENU}")
    async for event in call.events():
        if event["event"] == "dtmf":
            await call.clear()
            if event["digit"] == "9":
                await (await call.speak("Goodbye.")).wait()
                await call.hang_up()
                return
            await answer(call, event["digit"])


async def answer(call: LiveCall, digit: str) -> None:
    """Do what the digit stands for."""
    if digit == "1":
        tone = 8000 * np.sin(2 * np.pi * 440 * np.arange(RATE_HZ) / RATE_HZ)
        await call.play(tone.astype(np.int16), rate_hz=RATE_HZ)
    elif digit == "2":
        await call.speak(f"You are calling from {call.identity.get('from', 'somewhere')}.")
    else:
        await call.speak(f"{digit} is not on the menu.")
    await call.speak(MENU)
