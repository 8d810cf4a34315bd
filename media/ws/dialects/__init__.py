"""How each carrier writes the same conversation: one file a dialect, each a table of differences.

A dialect turns messages into the frames of `media.ws.messages`, and audio, marks and clears into messages; what a
frame means is `media.ws.protocol`'s, the same for all. `media.ws.dialects.choosing` tells them apart.
"""
