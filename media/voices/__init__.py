"""Speech out: texts into PCM, by engines that plug in.

::

    text, language, voice ──▶ Voices.speak ──▶ Speech (an async iterator of PCM) ──▶ media.talk.sources ──▶ the call

`contract` is what an engine is, `espeak` the one that comes along and works offline, `plugins` finds the others.
"""
