"""Talking back: what is played into a call, from any source of audio to the frames that the carrier takes.

::

    source ──▶ PcmSource ──▶ Player (queue, mix, volume, loop) ──▶ return path (RTP or MP3 mode) ──▶ Wire ──▶ carrier
                                                                        ◀── marks, errors ──────────────────┘

Everything here but `media.talk.timer` and the readers of sources is sans-I/O: time is given, never fetched.
"""
