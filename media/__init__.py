"""The media server: calls, sinks, control, and the simulated carrier."""
