"""Encryption at rest: files that only who has a private key can read; docs/encryption.md has them byte by byte."""
