"""Captures: pcap files read, written, sent again, and run through the server's own code offline.

Flow: `records` takes the file apart, `layers` the frames, `reader` composes them to datagrams; `census` finds
the call audio among them; `inspect` runs it through doors, timeline and engine with the capture's times, `flows`
being the door of what came to no port of ours; `summary` and `tables` show what came out. `schedule`
says what is sent again and when, `replay` sends it. `command` is the command line.
"""
