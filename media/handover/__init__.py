"""Restarts that lose nothing: sockets that systemd holds, and calls that a process hands over to its successor.

`activation` takes sockets from systemd, and `notify` tells it how things are; `room` says how long a receive buffer
lasts. `link` is what two processes say to each other, and `passing` when; `moving` takes calls out of one server and
puts them into another, as `moved` describes them.
"""
