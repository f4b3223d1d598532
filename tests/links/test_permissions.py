"""Which service may send what to which, and how tokens authenticate services."""

from enum import StrEnum
from itertools import product
from pathlib import Path

import msgspec
import pytest

from trading.hosting.environment import SettingsError
from trading.hosting.settings import load_settings
from trading.hosting.store import MemoryStore
from trading.hosting.tokens import digest
from trading.links import frames
from trading.links.fences import Fences
from trading.links.peers import load_peers
from trading.messages import chaos
from trading.messages.market import Ping, PriceTick
from trading.messages.orders import AccountQuery, CancelAllOrders, PlaceOrder
from trading.runtime.journal import MemoryJournal
from trading.runtime.replay import message_types
from trading.runtime.routes import DIRECT, ROUTES, permitted
from trading.topology import RISK_MONITOR, SERVICES, TEST_COORDINATOR


def blank(kind: type) -> object:
    """Return a message of a type, with arbitrary content."""
    return msgspec.convert(
        {f.name: _filler(f.type) for f in msgspec.structs.fields(kind)} | {"msg": kind.__name__},
        kind,
        strict=False,
    )


def _filler(field_type: object) -> object:
    fillers: dict[object, object] = {
        str: "x",
        int: 1,
        bool: True,
        dict[str, int]: {},
        chaos.RunSetup: {},
    }
    if isinstance(field_type, type) and issubclass(field_type, StrEnum):
        return next(iter(field_type))
    if field_type in fillers:
        return fillers[field_type]
    if "AnyFault" in str(field_type) or "MarketShock" in str(field_type):
        return {"kind": "networkPartition", "pairs": []}
    if "PlaceOrder" in str(field_type):
        return {"msg": "PlaceOrder", "account": "a", "client_order_id": "b", "symbol": "c",
                "side": "BUY", "type": "LIMIT", "qty": 1}  # fmt: skip
    return [] if "tuple" in str(field_type) else {} if "dict" in str(field_type) else None


def test_the_risk_monitor_is_told_nothing_of_scenarios_by_anybody() -> None:
    allowed = {
        kind.__name__
        for kind, source in product(message_types(), SERVICES)
        if source not in (RISK_MONITOR, TEST_COORDINATOR)
        and permitted(source, RISK_MONITOR, blank(kind))  # type: ignore[arg-type]
    }
    # A Pong names its sender, which a blank one does not.
    assert allowed == {
        "PriceTick", "BookTop", "SymbolStatusChanged", "KillSwitchChanged", "ExecutionReport",
        "AccountSnapshot", "CustodySnapshot",
    }  # fmt: skip


def test_only_the_coordinator_breaks_things() -> None:
    for kind in (chaos.InjectFault, chaos.RenewFault, chaos.RecoverFault, chaos.ProbeAsked):
        for source, target in product(SERVICES, SERVICES):
            allowed = permitted(source, target, blank(kind))  # type: ignore[arg-type]
            assert allowed == (source == TEST_COORDINATOR), (kind, source)


def test_everything_on_the_routes_is_permitted_and_nothing_else() -> None:
    for kind, source, target in product(message_types(), SERVICES, SERVICES):
        if kind in DIRECT or kind.__name__ in ("AccountQuery", "CustodyQuery", "AuditQuery"):
            continue
        reported = kind.__name__ in ("FaultApplied", "FaultEnded", "ProbeResult")
        expected = target in ROUTES.get((source, kind), ())
        expected |= reported and target == TEST_COORDINATOR
        assert permitted(source, target, blank(kind)) == expected  # type: ignore[arg-type]


def test_nobody_asks_in_another_s_name() -> None:
    assert permitted(RISK_MONITOR, "exchange", AccountQuery(RISK_MONITOR, "firm-mm", "1"))
    assert not permitted(RISK_MONITOR, "exchange", AccountQuery("trading-engine", "firm-mm", "1"))
    assert not permitted(RISK_MONITOR, "exchange", Ping("exchange", "test-coordinator", 1))


def test_a_journal_gives_each_peer_its_own() -> None:
    journal = MemoryJournal("market-data")
    tick = PriceTick("BTC", 5, 1, 9)
    journal.append(10, "PriceTick", tick)
    journal.append(11, "Received", [tick])
    journal.append(12, "FaultApplied", chaos.FaultApplied("market-data", "x", 12))
    encoded = frames.frames_from_journal("market-data", RISK_MONITOR, journal.after(0))
    assert frames.decode_frames(frames.join_frames(encoded)) == [
        frames.Frame("market-data", 1, RISK_MONITOR, tick, 1010)
    ]
    encoded = frames.frames_from_journal("market-data", TEST_COORDINATOR, journal.after(0))
    assert [f.seq for f in frames.decode_frames(frames.join_frames(encoded))] == [1, 3]
    assert frames.frames_from_journal("market-data", "custodian", journal.after(0)) == []


@pytest.mark.parametrize("message", [PlaceOrder("a", "1", "s", "BUY", "MARKET", 1),
                                     CancelAllOrders("a")])  # fmt: skip
def test_orders_are_taken_from_the_newest_owner_alone(message: PlaceOrder) -> None:
    import asyncio

    store = MemoryStore()
    fences = Fences(store)
    assert fences.allows("one", message)
    asyncio.run(fences.claim("one", {"a": 5}))
    assert fences.allows("one", message)
    assert not fences.allows("two", message)
    asyncio.run(fences.claim("two", {"a": 6}))
    assert not fences.allows("one", message)
    assert fences.allows("two", message)
    assert fences.take_refused("one") == {"a": 6}
    assert fences.take_refused("one") == {}
    # The former owner claims the account again.
    asyncio.run(fences.claim("one", {"a": 5}))
    assert not fences.allows("one", message)
    # The same holds after a restart of the exchange.
    restarted = Fences(store)
    asyncio.run(restarted.claim("one", {"a": 5}))
    assert not restarted.allows("one", message)


def test_services_on_one_machine_know_each_other_by_the_data_directory(tmp_path: Path) -> None:
    settings = load_settings({"data_dir": tmp_path})
    monitor, exchange = load_peers("risk-monitor", settings), load_peers("exchange", settings)
    assert exchange.who("risk-monitor", f"Bearer {monitor.token}")
    assert not exchange.who("custodian", f"Bearer {monitor.token}")
    assert not exchange.who("risk-monitor", f"Basic {monitor.token}")
    assert not exchange.who("nobody", "Bearer ")
    assert (tmp_path / "links.json").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"EXCHANGE_URL": "exchange:8080"}, "EXCHANGE_URL: Value error, exchange:8080 is no http"),
        ({"LINK_TOKEN": "x" * 16}, "LINK_TOKEN and LINK_PEERS go together"),
        ({"LINK_TOKEN": "x" * 16, "LINK_PEERS": "{}}"}, "LINK_PEERS: must be JSON like"),
        ({"BIND_HOST": "192.0.2.1"}, "LINK_TOKEN: must be set where BIND_HOST (192.0.2.1)"),
    ],
)
def test_a_wrong_setting_names_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], message: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError) as caught:
        load_peers("exchange", load_settings({"data_dir": tmp_path}, watches_risk=False))
    assert message in str(caught.value)


def test_addresses_tokens_and_several_instances(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tmp_path / "token"
    token.write_text("the-token-of-mine\n")
    monkeypatch.setenv("LINK_TOKEN_FILE", str(token))
    monkeypatch.setenv("LINK_PEERS", f'{{"exchange": "{digest("theirs")}"}}')
    monkeypatch.setenv("TRADING_ENGINE_URL", "http://one:8083/, http://two:8083")
    monkeypatch.chdir(tmp_path)
    custodian = load_peers("custodian", load_settings({"data_dir": tmp_path}))
    assert custodian.token == "the-token-of-mine"  # noqa: S105
    assert custodian.urls["trading-engine"] == ("http://one:8083", "http://two:8083")
    assert custodian.urls["exchange"] == ("http://127.0.0.1:8080",)
    assert custodian.who("exchange", "Bearer theirs")
