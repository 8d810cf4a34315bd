"""A server from a terminal: ``strep calls``, ``call``, ``tail`` and ``completion``, clients of its HTTP door.

`client` asks, `printable` and `show` say what came back to people. What was asked for is imported when it is:
completion starts this program for every press of the tabulator.
"""
