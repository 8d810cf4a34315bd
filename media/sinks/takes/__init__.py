"""Takes: recordings that are started and stopped during a call, each a file beside that of the whole call."""
