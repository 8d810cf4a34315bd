"""Webhooks: what happens in calls, posted to URLs in Telnyx's vocabulary, signed, until it is taken.

`vocabulary` names events, `envelope` wraps them, `signing` signs; `outbox` decides what is sent when, without a clock
or a socket, and `spool` keeps it; `posting` is the HTTP client and `postman` the thread that does it all.
"""
