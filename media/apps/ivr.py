"""A menu: a tone, who you are, or goodbye; a digit interrupts whatever is being said."""

from __future__ import annotations

import numpy as np

from media.talk.call import LiveCall

MENU = "Press 1 for a tone, 2 to hear who you are, or 9 to hang up."
RATE_HZ = 8000


async def ivr(call: LiveCall) -> None:
    """Be the application of one call."""
    if not call.can_play:  # a fork, which is only listened to
        return
    welcome = "Welcome. "
    while True:
        entered = await call.gather(
            speak=welcome + MENU,
            invalid_speak="That is not on the menu.",
            valid_digits="129",
            terminating_digit="",
            maximum_digits=1,
        )
        if entered.digits == "1":
            tone = 8000 * np.sin(2 * np.pi * 440 * np.arange(RATE_HZ) / RATE_HZ)
            await call.play(tone.astype(np.int16), rate_hz=RATE_HZ)
        elif entered.digits == "2":
            await call.speak(f"You are calling from {call.identity.get('from', 'somewhere')}.")
        elif entered.status != "call_hangup":
            await (await call.speak("Goodbye.")).wait()
            await call.hang_up()
            return
        else:
            return
        welcome = ""
