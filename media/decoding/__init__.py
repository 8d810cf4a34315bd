"""Codecs that are no table: their payloads are decoded where they come in, one Python call each, in order.

What comes out is PCM with places of its own, and goes the way of all frames from there,
to a timeline whose tapes are of int16. G.711 does not pass here.
"""
