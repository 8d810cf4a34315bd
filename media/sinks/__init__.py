"""Sinks: what happens to the audio. `contract` is what authors of a sink read first."""
