"""What users see when something is gone: the rows of docs/failures.md, each by a real server."""
