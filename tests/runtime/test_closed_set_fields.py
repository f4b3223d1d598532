"""Members of closed sets in journals and snapshots: the bytes of their texts, and nothing else."""

import msgspec
import pytest

from trading.cli.run import EXIT_CODES
from trading.hosting.snapshot import dump, load
from trading.messages import Message
from trading.messages.chaos import Phase, PhaseChanged
from trading.messages.market import SymbolStatus, SymbolStatusChanged
from trading.messages.risk import BreakerChanged, BreakerState
from trading.scenario.result import Outcome

MESSAGES = [
    (PhaseChanged(Phase.STEADY_STATE, 1), ("SteadyState", 1)),
    (SymbolStatusChanged("BTCUSDT", SymbolStatus.HALT, "x", 1), ("BTCUSDT", "HALT", "x", 1)),
    (
        BreakerChanged(BreakerState.REDUCING, BreakerState.ACTIVE, "x", 1),
        ("REDUCING", "ACTIVE", "x", 1),
    ),
]


@pytest.mark.parametrize(("message", "plain"), MESSAGES, ids=lambda value: type(value).__name__)
def test_a_member_is_written_as_its_text_and_read_as_itself(
    message: Message, plain: tuple[object, ...]
) -> None:
    body = msgspec.json.encode(message)
    fields = message.__struct_fields__
    written = {"msg": type(message).__name__, **dict(zip(fields, plain, strict=True))}
    assert body == msgspec.json.encode(written)
    decoded = msgspec.json.decode(body, type=type(message))
    (restored,) = load(dump({"messages": [message]}))["messages"]
    for other in (decoded, restored):
        for field in fields:
            assert type(getattr(other, field)) is type(getattr(message, field))
        assert other == message


def test_an_unknown_value_is_named_with_its_place() -> None:
    body = b'{"msg":"PhaseChanged","phase":"Nap","event_time":1}'
    with pytest.raises(msgspec.ValidationError, match=r"Invalid enum value 'Nap' - at `\$.phase`"):
        msgspec.json.decode(body, type=PhaseChanged)


def test_every_run_ends_in_one_phase_with_one_exit_code() -> None:
    assert [p for p in Phase if p.terminal] == [Phase.COMPLETED, Phase.ABORTED, Phase.ERROR]
    assert [p for p in Phase if not (p.abortable or p.terminal)] == [Phase.EVALUATING]
    assert set(EXIT_CODES) == set(Outcome) and len(set(EXIT_CODES.values())) == len(Outcome)
