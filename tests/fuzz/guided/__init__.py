"""Coverage-guided fuzzing: one target for each group of parsers of untrusted bytes; see ../README.md."""
