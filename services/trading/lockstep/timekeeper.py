"""The decisions of the time keeper: which participants may continue, and how far. It is pure: it
knows no network and no clock.

Each participant has reported, or is awaited. When none is awaited any more, the next instant is the
earliest at which any of them has something to do, by its own report or by a message on its way to
it. Only those participants are granted the instant. A message takes some time to arrive, so what is
decided at an instant concerns later ones only.

A participant that restarts joins again with the state of its journal, which may be at an earlier
instant. It is first synchronised: it receives all that was sent to it. Then it repeats the instants
that it had handled before, while the others wait. Participants that are still handling the newest
instant continue, because their messages arrive later than everything that is repeated.

An instance of a service that has other instances can be left out of the run: see
:meth:`TimeKeeper.dispensable`.
"""

from collections.abc import Iterable, Mapping

from trading.lockstep.packets import Grant, Joined, Report


class _Participant:
    """The state of one participant. Times are simulated microseconds, and -1 means never."""

    def __init__(self, start: int) -> None:
        #: Whether it has ever joined, and whether it is connected now.
        self.has_joined = False
        self.present = False
        #: Whether it has received all that was sent to it when it was synchronised last.
        self.synchronised = False
        #: Only a grant with a larger number than this synchronises it.
        self.synchronised_after = 0
        #: The last instant that it has handled, and the last before it had to repeat some.
        self.done_until = self.reached = start
        #: The participants that were dismissed since it was synchronised last: what it has
        #: received from them may not be durable yet.
        self.unconfirmed: set[str] = set()
        #: The grant that it has not reported yet.
        self.awaited: Grant | None = None
        #: When it has something to do, by its own report; and when the earliest message arrives
        #: that is not in a grant to it yet.
        self.next_at = self.arrival = -1
        #: Whether something from outside waits for an instant.
        self.inputs = False
        #: Number of its last message by receiver, and by sender the number of the last message
        #: that a grant has announced to it.
        self.sent: dict[str, int] = {}
        self.announced: dict[str, int] = {}

    @property
    def due(self) -> int:
        """When it has something to do; -1 for never."""
        return _earlier(self.next_at, self.arrival)

    def handle_until(self, until: int) -> None:
        """Note that it has handled everything up to ``until``."""
        self.done_until = until
        self.reached = max(self.reached, until)


class TimeKeeper:
    """Decides what each of ``participants`` may do next in a run that begins at ``start``.

    ``participants`` has the service of each instance that takes part. Messages are sent to a
    service, and reach every instance of it. :attr:`now` is the instant that is being handled, in
    simulated microseconds. Once :attr:`ending` is true no later instant is granted, but restarted
    participants are still led to the present one.
    """

    def __init__(self, participants: Mapping[str, str], start: int) -> None:
        self._service = dict(participants)
        self._participants = {name: _Participant(start) for name in participants}
        self._start = start
        #: The latest instant that any participant has been granted.
        self._front = start - 1
        self._number = 0
        self.now = start - 1
        self.ending = False

    @property
    def awaited(self) -> list[str]:
        """The participants that have not completed their grants, or are absent."""
        return [n for n, p in self._participants.items() if p.awaited or not p.present]

    def __contains__(self, name: str) -> bool:
        """Return whether an instance takes part."""
        return name in self._participants

    @property
    def absent(self) -> list[str]:
        """The participants that are not connected."""
        return [name for name, p in self._participants.items() if not p.present]

    @property
    def present(self) -> list[str]:
        """The participants that are connected."""
        return [name for name, p in self._participants.items() if p.present]

    def instances(self, service: str) -> list[str]:
        """Return the instances of a service that take part."""
        return [name for name, of in self._service.items() if of == service]

    def dispensable(self, *, unseen: bool) -> list[str]:
        """Return the absent participants that the run can continue without: either all absent ones,
        or none.

        Every service must have an instance that is present, and no participant may have to repeat
        an instant with messages of an absent one, since these are stored nowhere else. With
        ``unseen``, participants that have never joined count, too, as long as the run is at its
        start. Later they may have sent messages to a coordinator whose process has ended since.
        """
        absent = self.absent
        for name in absent:
            participant = self._participants[name]
            if all(other in absent for other in self.instances(self._service[name])):
                return []
            if not participant.has_joined and not (unseen and self._front <= self._start):
                return []
            if self._repeating_messages_of(name):
                return []
        return absent

    def dismiss(self, name: str) -> list[str]:
        """Continue without a participant, and return those that still need its messages, because
        they repeat instants: then the run cannot continue.

        All others must be synchronised again: after that, what they have received from the
        dismissed one is durable. Raises KeyError for an instance that does not take part.
        """
        needing = self._repeating_messages_of(name)
        sent = self._participants.pop(name).sent
        del self._service[name]
        self.resynchronise()
        for receiver, other in self._participants.items():
            if sent.get(self._service[receiver], 0):
                other.unconfirmed.add(name)
        return needing

    def _repeating_messages_of(self, name: str) -> list[str]:
        """Return the participants that repeat instants and have received messages of ``name``."""
        sent = self._participants[name].sent
        return [
            receiver
            for receiver, other in self._participants.items()
            if other.present
            and other.done_until < other.reached
            and sent.get(self._service[receiver], 0)
        ]

    @property
    def synchronised(self) -> bool:
        """Whether all participants are present, have received all that was sent to them, and have
        completed their grants.
        """
        participants = self._participants.values()
        return all(p.present and p.synchronised and not p.awaited for p in participants)

    def resynchronise(self) -> None:
        """Let all participants receive what is on its way to them, before time goes on."""
        for participant in self._participants.values():
            participant.synchronised = False
            participant.synchronised_after = self._number

    def on_joined(self, name: str, joined: Joined) -> list[str]:
        """Note that a participant is present, perhaps after a restart. Return the dismissed ones
        whose messages it would need again: then the run cannot continue.
        """
        participant = self._participants[name]
        participant.has_joined = True
        participant.handle_until(joined.done)
        participant.present, participant.synchronised, participant.awaited = True, False, None
        participant.synchronised_after = self._number
        participant.next_at, participant.arrival = joined.next_at, -1
        participant.inputs = joined.inputs
        participant.sent, participant.announced = dict(joined.sent), {}
        self._front = max(self._front, joined.done)
        for other in self._participants.values():
            # To a participant that repeats instants, messages may have been announced that this
            # one has to send again, perhaps only after it has received some itself.
            if other.awaited is not None and other.awaited.until != self.now:
                other.awaited, other.synchronised = None, False
                other.announced = {}
        repeats = participant.done_until < participant.reached
        return sorted(participant.unconfirmed) if repeats else []

    def on_disconnected(self, name: str) -> None:
        """Note that the connection to a participant is lost: time waits for it."""
        self._participants[name].present = False

    def on_wish(self, name: str) -> None:
        """Note that something from outside waits at a participant."""
        self._participants[name].inputs = True

    def on_report(self, name: str, report: Report) -> None:
        """Note that a participant has completed a grant. In the report of an older grant only what
        it has sent counts, because it reports each message once.
        """
        participant = self._participants[name]
        for receiver, (number, arrival) in report.sent.items():
            participant.sent[receiver] = max(number, participant.sent.get(receiver, 0))
            for instance, service in self._service.items():
                if service == receiver:
                    other = self._participants[instance]
                    other.arrival = _earlier(other.arrival, arrival)
        grant = participant.awaited
        if grant is None or report.number != grant.number:
            return
        if grant.until:
            participant.handle_until(grant.until)
        elif grant.number > participant.synchronised_after:
            participant.synchronised = True
            participant.unconfirmed.clear()
        participant.awaited = None
        participant.next_at, participant.inputs = report.next_at, report.inputs

    def next_grants(self) -> Mapping[str, Grant]:
        """Decide which participants may continue, and how far, and return their grants; none while
        time has to wait.
        """
        participants = self._participants
        if not all(p.present for p in participants.values()):
            return {}
        behind = [n for n, p in participants.items() if not p.synchronised and not p.awaited]
        if behind:
            return self._grant(0, behind)
        awaited = [p.awaited for p in participants.values() if p.awaited is not None]
        if any(grant.until != self.now for grant in awaited):
            return {}
        free = [p for p in participants.values() if not p.awaited]
        at = min((p.due for p in free if p.due >= 0), default=-1)
        repeating = 0 <= at <= self.now
        if not repeating and (awaited or self.ending):
            return {}
        wishing = [name for name, p in participants.items() if p.inputs]
        # While one participant repeats instants, the others have been at later ones already, so
        # nothing from outside may arrive.
        if wishing and not repeating and self.now >= self._front:
            at = self.now + 1
        elif at < 0:
            return {}
        else:
            wishing = []
        if not awaited:
            self.now = at
            self._front = max(self._front, at)
        active = [n for n, p in participants.items() if not p.awaited and 0 <= p.due <= at]
        return self._grant(at, dict.fromkeys((*active, *wishing)), wishing)

    def _grant(
        self, until: int, names: Iterable[str], wishing: Iterable[str] = ()
    ) -> Mapping[str, Grant]:
        """Grant ``names`` everything up to ``until``; at those ``wishing``, inputs from outside
        arrive then.
        """
        grants = {}
        with_inputs = set(wishing)
        for name in names:
            participant = self._participants[name]
            service = self._service[name]
            expected = {}
            for sender, other in self._participants.items():
                number = other.sent.get(service, 0)
                if number > participant.announced.get(sender, 0):
                    expected[sender] = participant.announced[sender] = number
            self._number += 1
            participant.arrival = -1
            grant = Grant(self._number, until, expected, name in with_inputs)
            participant.awaited = grants[name] = grant
            if name in with_inputs:
                participant.inputs = False
        return grants


def _earlier(time: int, other: int) -> int:
    """Return the earlier of two times, where -1 means never."""
    return max(time, other) if min(time, other) < 0 else min(time, other)
