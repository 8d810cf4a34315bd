"""PCM and events of live calls on subjects of NATS JetStream: the way past one machine.

`names`: subjects and ids. `outbox`: what was not acknowledged yet, in order. `spool`: the same on disk, while the
server is away. `stream`: the stream's configuration. `publisher`: the connection. `sink`: from calls to messages.
"""
