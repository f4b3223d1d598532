"""Links between services that are processes of their own: sessions with sequence numbers and
resend, as venues offer them for order entry, drop copy and market data.

Who calls whom is in :mod:`trading.topology`; what may be said on a link is in
:mod:`trading.runtime.routes`. What a service decides, its peers hear once it is durable. A peer
that comes back says up to where it has heard, and gets the rest from the journal.
"""
