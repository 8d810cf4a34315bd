"""Quality: how good calls are, from their packets (`strep.quality`) and their audio; docs/quality.md explains it."""
