"""The other side of the wire: a simulated carrier, with faults on demand and the truth about what it did.

Flow: `audio` and `tones` give the sound, `faults` and `script` turn it into the packets of a track,
`network` decides which of them arrive and when, `plan` merges all tracks, `truth` tells what a receiver
has to find out. Up to there nobody asks a clock or opens a socket. `udp` and `websocket` are the shells.
"""
