"""Codecs that are no table: encoders and decoders with a memory, one per track or per playing call."""
