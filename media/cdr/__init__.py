"""Call detail records: one line for each call that has ended, in a file and in a database.

* `media.cdr.record`: what a record says; `cdr.schema.json` is its published description.
* `media.cdr.gathering`: puts together what is known of a call from its end, and from what becomes of its recordings.
* `media.cdr.left`: the record of a call whose process was killed, by what that left on the disk.
* `media.cdr.outbox`: records that wait to be written, and when they are tried again.
* `media.cdr.file`, `media.cdr.database`: where they are written to.
* `media.cdr.companion`: all that beside a server, in threads of its own.
"""
