"""The time keeper's decisions: who may do what next. It knows no network and no clock.

Everybody has reported, or is awaited. When nobody is awaited any more, the next instant is the
smallest at which anybody has something to do, by its own word or by a message under way to it.
Only those take part. A message takes some time to arrive, so whatever is decided at an instant
concerns later ones.

Whoever was away joins again with where it stands, which may be earlier. It is first asked to
receive all that was sent to it; then it does again what it had done before, while the others wait
where they are. Those that are at work at the newest instant go on with that: what they send arrives
later than anything that is done again.

An instance of a service that has others can be left out: see :meth:`TimeKeeper.dispensable`.
"""

from collections.abc import Iterable, Mapping

from trading.lockstep.packets import Grant, Joined, Report


class _Participant:
    """``next_at``: when something is due by its own word, ``arrival``: when the earliest message
    arrives that it has not been told of; -1: never. ``sent``: receiver -> number of the last
    message. ``told``: sender -> number of the last message that it knows it has to receive.
    ``done``: the last instant that it has done, ``reached``: before it had to do some again.
    ``unsettled``: those who were dismissed since it was synchronised last: what it has had from
    them may be lost with it.
    """

    def __init__(self, start: int) -> None:
        self.seen = False
        self.present = False
        self.synchronised = False
        #: Number of a grant; it takes one after that to be synchronised again.
        self.stale = 0
        self.done = self.reached = start
        self.unsettled: set[str] = set()
        self.awaited: Grant | None = None
        self.next_at = self.arrival = -1
        self.inputs = False
        self.sent: dict[str, int] = {}
        self.told: dict[str, int] = {}

    @property
    def due(self) -> int:
        """When it has something to do; -1: never."""
        return _earlier(self.next_at, self.arrival)

    def do(self, until: int) -> None:
        """Note that it has done everything up to then."""
        self.done = until
        self.reached = max(self.reached, until)


class TimeKeeper:
    """``participants``: by name, the service that each is an instance of; messages are sent to a
    service, and reach every instance of it. ``now``: the instant that is being done.

    ``ending``: no later instant is granted any more, but whoever comes back is still led to it.
    """

    def __init__(self, participants: Mapping[str, str], start: int) -> None:
        self._service = dict(participants)
        self._participants = {name: _Participant(start) for name in participants}
        self._start = start
        self._front = start - 1
        self._number = 0
        self.now = start - 1
        self.ending = False

    @property
    def awaited(self) -> list[str]:
        """Who has not reported yet, or is not there."""
        return [n for n, one in self._participants.items() if one.awaited or not one.present]

    def __contains__(self, name: str) -> bool:
        """Does an instance take part?"""
        return name in self._participants

    @property
    def missing(self) -> list[str]:
        """Who is not there."""
        return [name for name, one in self._participants.items() if not one.present]

    @property
    def present(self) -> list[str]:
        """Who takes part, and is there."""
        return [name for name, one in self._participants.items() if one.present]

    def instances(self, service: str) -> list[str]:
        """Return the instances of a service that take part."""
        return [name for name, found in self._service.items() if found == service]

    def dispensable(self, *, unseen: bool) -> list[str]:
        """Return those that are away and that the run can go on without. Either all that are away
        are, or none: every service must have an instance that is there, and nobody may have to do
        again what it did with messages of theirs, which are kept nowhere else. ``unseen``: also
        those that have never been there, as long as the run is where it began; later they may
        have sent something, to a coordinator that was another process then.
        """
        away = self.missing
        for name in away:
            one = self._participants[name]
            if all(other in away for other in self.instances(self._service[name])):
                return []
            if not one.seen and not (unseen and self._front <= self._start):
                return []
            if self._needing(name):
                return []
        return away

    def dismiss(self, name: str) -> list[str]:
        """Go on without a participant. Everybody has to be synchronised: when it is, it has kept
        what it had from the one that is dismissed. Returns those that need it again: then the run
        cannot go on. KeyError for one that takes no part.
        """
        needing = self._needing(name)
        sent = self._participants.pop(name).sent
        del self._service[name]
        self.resynchronise()
        for there, other in self._participants.items():
            if sent.get(self._service[there], 0):
                other.unsettled.add(name)
        return needing

    def _needing(self, name: str) -> list[str]:
        """Who has to do again what it did with messages of a participant?"""
        sent = self._participants[name].sent
        return [
            there
            for there, other in self._participants.items()
            if other.present and other.done < other.reached and sent.get(self._service[there], 0)
        ]

    @property
    def synchronised(self) -> bool:
        """Is everybody there, with all that was sent to it, and nobody at work?"""
        everybody = self._participants.values()
        return all(one.present and one.synchronised and not one.awaited for one in everybody)

    def resynchronise(self) -> None:
        """Let everybody first receive all that is under way to it."""
        for one in self._participants.values():
            one.synchronised, one.stale = False, self._number

    def joined(self, name: str, word: Joined) -> list[str]:
        """A participant is there, perhaps again. Returns those who were dismissed and whose
        messages it would need again: then the run cannot go on.
        """
        one = self._participants[name]
        one.seen = True
        one.do(word.done)
        one.present, one.synchronised, one.awaited = True, False, None
        one.stale = self._number
        one.next_at, one.arrival, one.inputs = word.next_at, -1, word.inputs
        one.sent, one.told = dict(word.sent), {}
        self._front = max(self._front, word.done)
        for other in self._participants.values():
            # Who was to do something again may have been told of messages that this one has to
            # send again, too, and perhaps only after it has got some itself.
            if other.awaited is not None and other.awaited.until != self.now:
                other.awaited, other.synchronised = None, False
                other.told = {}
        return sorted(one.unsettled) if one.done < one.reached else []

    def left(self, name: str) -> None:
        """The connection to a participant is lost: time waits for it."""
        self._participants[name].present = False

    def wished(self, name: str) -> None:
        """Something from outside waits at a participant."""
        self._participants[name].inputs = True

    def reported(self, name: str, word: Report) -> None:
        """A participant has done what it was granted. Of the report of an older grant only counts
        what it has sent: it is told once.
        """
        one = self._participants[name]
        for receiver, (number, arrival) in word.sent.items():
            one.sent[receiver] = max(number, one.sent.get(receiver, 0))
            for instance, service in self._service.items():
                if service == receiver:
                    other = self._participants[instance]
                    other.arrival = _earlier(other.arrival, arrival)
        if one.awaited is None or word.number != one.awaited.number:
            return
        if one.awaited.until:
            one.do(one.awaited.until)
        elif one.awaited.number > one.stale:
            one.synchronised = True
            one.unsettled.clear()
        one.awaited = None
        one.next_at, one.inputs = word.next_at, word.inputs

    def round(self) -> Mapping[str, Grant]:
        """Decide who may go on, and how far; nobody, while somebody has to be waited for."""
        everybody = self._participants
        if not all(one.present for one in everybody.values()):
            return {}
        behind = [n for n, one in everybody.items() if not one.synchronised and not one.awaited]
        if behind:
            return self._granted(0, behind)
        awaited = [one.awaited for one in everybody.values() if one.awaited is not None]
        if any(grant.until != self.now for grant in awaited):
            return {}
        free = [one for one in everybody.values() if not one.awaited]
        at = min((one.due for one in free if one.due >= 0), default=-1)
        again = 0 <= at <= self.now
        if not again and (awaited or self.ending):
            return {}
        wishes = [name for name, one in everybody.items() if one.inputs]
        # While somebody does again what it had done, the others have been at later moments.
        if wishes and not again and self.now >= self._front:
            at = self.now + 1
        elif at < 0:
            return {}
        else:
            wishes = []
        if not awaited:
            self.now = at
            self._front = max(self._front, at)
        active = [n for n, one in everybody.items() if not one.awaited and 0 <= one.due <= at]
        return self._granted(at, dict.fromkeys((*active, *wishes)), wishes)

    def _granted(
        self, until: int, names: Iterable[str], wishes: Iterable[str] = ()
    ) -> Mapping[str, Grant]:
        grants = {}
        wishing = set(wishes)
        for name in names:
            one = self._participants[name]
            service = self._service[name]
            expected = {}
            for sender, other in self._participants.items():
                number = other.sent.get(service, 0)
                if number > one.told.get(sender, 0):
                    expected[sender] = one.told[sender] = number
            self._number += 1
            one.arrival = -1
            one.awaited = grants[name] = Grant(self._number, until, expected, name in wishing)
            if name in wishing:
                one.inputs = False
        return grants


def _earlier(one: int, other: int) -> int:
    """The earlier of two times, of which -1 is never."""
    return max(one, other) if min(one, other) < 0 else min(one, other)
