"""Media frames that are, but for counters and audio, what the last one of their track was: taken in columns."""
