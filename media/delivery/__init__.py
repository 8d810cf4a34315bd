"""What becomes of a recording when it is closed: formats made of it, and a store that it is delivered to.

::

    recorder --FinishedRecording--> `desk`: a job file                    in the server, a millisecond
                                      |  RECORDINGS/.delivery/NAME.job
                                      v
    `process`, one per directory, nice 19: `schedule` picks, `steps` do  in a process of its own
        prepare   `audio` trims, `encoders` make each format beside the job file
        store     `stores` put, look at it again, and only then believe it; the sidecar goes last
        settle    formats take their places in the directory; what is not to be kept is removed
                                      |
    `companion`  <--what happened-----+                                   in the server: events, log, counters

The job file says how far a recording has come, and is replaced in one step after each. Every step may be cut short
anywhere and done again: it ends in the same files under the same names. So a process that is killed, or a machine,
costs a repetition, and nothing is removed before what it became has been read back or vouched for by the store.
"""
