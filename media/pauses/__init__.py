"""Pausing a call's recording: one mask in front of all sinks that keep audio or pass it on."""
