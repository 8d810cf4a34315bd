"""Live audio for other programs: the format of a message (`wire`), who wants what (`selection`), and who gets it."""
