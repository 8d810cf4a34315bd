"""Hearing: what is in the audio of thousands of tracks at once - digits, voices, tones. Columns, sans-I/O.

Nothing here runs once per track and tick, only once per thing that was found.
"""
