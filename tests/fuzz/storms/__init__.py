"""Storms: millions of mutated datagrams and frames, among calls that nothing may happen to; see ../README.md."""
