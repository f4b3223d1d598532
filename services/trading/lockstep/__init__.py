"""Virtual time across processes: conservative synchronisation, as in parallel discrete-event
simulation (Chandy, Misra, Bryant).

The coordinator keeps the time. It grants every service that has something to do the next instant
(:mod:`~trading.lockstep.timekeeper`); the service does it, sends its messages over the links, and
reports when it has something to do next and how many messages it has sent to whom. No instant is
granted before everything of the instants before it is done, and no service acts before it has
received all that was sent to it. So a run has the same journals as in one process, however fast or
slow the machine is.
"""
