"""Links between services that are processes of their own: sessions with sequence numbers and
resend, as venues offer them for order entry, drop copy and market data.

:mod:`trading.topology` says which service connects to which, and :mod:`trading.runtime.routes`
which messages may go over a link. A service sends a decision only after it is durable. A peer that
reconnects says which sequence number it has received last, and gets the rest from the journal.
"""
