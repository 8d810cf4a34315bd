"""The server's counters for Prometheus, the same for one process or many.

* `media.metrics.totals`: the snapshots of several processes become one, and nothing that counts goes backwards.
* `media.metrics.families`: a snapshot as Prometheus calls it.
* `media.metrics.http`: ``http://HOST:PORT/metrics``.
"""
