"""What was found in calls while they went on: one frozen class a kind, each with ``to_json``.

Places are in samples since the call's origin, as everywhere, and in milliseconds in JSON.
"""

from media.events.kinds import AudioDropped, DigitPressed, Event, SpeechEnded, SpeechStarted, TalkedOver, ToneHeard

__all__ = ["AudioDropped", "DigitPressed", "Event", "SpeechEnded", "SpeechStarted", "TalkedOver", "ToneHeard"]
