"""Virtual time across processes: conservative synchronisation, as in parallel discrete-event
simulation (Chandy, Misra, Bryant).

The coordinator keeps the time. It grants the next instant to every service that has something to
do at it (:mod:`~trading.lockstep.timekeeper`). The service handles the instant, sends its messages
over the links, and reports when it has something to do next and how many messages it has sent to
whom.
No instant is granted before all earlier instants are finished, and no service acts before it has
received all that was sent to it. So a run has the same journals as in one process, no matter how
fast the machine is.
"""
