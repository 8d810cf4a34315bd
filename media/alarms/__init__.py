"""Alarms: what goes wrong in a server that still runs, said once when it begins and once when it is over.

* `media.alarms.rules`: the table of all alarms, what each measures, means, and what to do about it;
* `media.alarms.board`: takes a snapshot a second, and says what is raised and what is cleared; sans-I/O;
* `media.alarms.lag`: how late the event loop is;
* `media.alarms.reconciliation`: whether every call that began ended, and has its recording.

They are in the log, in the metrics (``strep_alarm``), and at ``/v1/alarms`` and ``/healthz`` of the HTTP door.
"""
