"""What becomes of recordings when processes are killed, at random moments, many times."""
