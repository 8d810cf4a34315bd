"""The documentation as a whole: each command in it is run, linted, or listed with the reason why it cannot be."""
