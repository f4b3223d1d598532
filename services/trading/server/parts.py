"""What each service is made of: its component's public API, and what its host must keep for it."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from fastapi import FastAPI
from pydantic import SecretStr

from trading.api.audit_correlator.app import audit_app
from trading.api.custodian.app import custodian_app
from trading.api.exchange import app as exchange
from trading.api.exchange.keys import Keys, credential
from trading.api.market_data import app as market_data
from trading.api.market_data.live import make_poller
from trading.api.risk_monitor import app as risk
from trading.api.test_coordinator import app as coordinator
from trading.api.trading_engine.app import trading_engine_app
from trading.embedded.ecosystem import components
from trading.hosting.access import Access
from trading.hosting.host import Host
from trading.hosting.login import Logins
from trading.hosting.origins import names
from trading.hosting.session import Session
from trading.hosting.session_factory import Projection
from trading.hosting.settings import Settings
from trading.hosting.tokens import Token, digest
from trading.hosting.world import World
from trading.messages import Message
from trading.runtime.component import Component
from trading.scenario.plan import ClockMode, RunPlan
from trading.server.credentials import Credentials
from trading.test_coordinator import Standby
from trading.topology import (
    AUDIT_CORRELATOR,
    CUSTODIAN,
    EXCHANGE,
    MARKET_DATA,
    RISK_MONITOR,
    TEST_COORDINATOR,
    TRADING_ENGINE,
)
from trading.universe import default_universe

if TYPE_CHECKING:
    from trading.upstream.poller import Poller


class Surroundings(NamedTuple):
    """What the apps are made from."""

    host: Host
    settings: Settings
    known: Credentials
    world: World
    poller: "Poller | None" = None


class Part(NamedTuple):
    """``projections`` and ``published``: see :class:`~trading.hosting.host.Host`."""

    app: Callable[[Surroundings], FastAPI]
    projections: Mapping[str, Callable[[Session], Projection]] = {}
    published: tuple[type[Message], ...] = ()


def chaos_allowed(settings: Settings) -> bool:
    """Unless the settings say so or not: only where nobody else can connect."""
    if settings.enable_chaos_scenarios is not None:
        return settings.enable_chaos_scenarios
    return settings.alone


def chaos_token(around: Surroundings) -> Token:
    """Return what services know of CHAOS_TOKEN; nothing where no chaos is allowed."""
    if not chaos_allowed(around.settings):
        return Token("CHAOS_TOKEN")
    return _token("CHAOS_TOKEN", around.known.chaos_token, around.settings.chaos_token_sha256)


def _token(setting: str, known: str, hashed: SecretStr | None) -> Token:
    return Token(setting, hashed.get_secret_value() if hashed is not None else digest(known))


def make(session: Session) -> list[Component]:
    """The components of a session; between runs the coordinator stands by."""
    found = components(session.plan)
    if session.run_id:
        return found
    return [c if c.name != TEST_COORDINATOR else Standby() for c in found]


def idle(settings: Settings, start: int, poller: "Poller | None" = None) -> Session:
    """The session between runs, from the simulated time ``start``: nothing breaks. It opens with
    the real prices that ``poller`` knows by now.
    """
    prices = {a.asset: a.price for a in poller.anchors.values()} if poller is not None else {}
    plan = RunPlan(
        name="idle",
        seed=settings.sim_seed,
        clock_mode=ClockMode.WALL,
        speed=settings.sim_speed,
        start=start,
        universe=default_universe().with_prices(prices),
        faults=(),
        expectations=(),
    )
    return Session(plan=plan, opened=datetime.now(UTC).isoformat(timespec="seconds"))


def make_app(name: str, around: Surroundings) -> FastAPI:
    """Return the app of the service ``name``, with who may ask it."""
    app = PARTS[name].app(around)
    settings = around.settings
    app.state.hosts = names(name, settings.bind_hosts, settings.hosts)
    known = around.known
    app.state.access = Access(
        act=_token("RISK_TOKEN", known.risk_token, None) if name == RISK_MONITOR else None,
        read=_token("READ_TOKEN", known.read_token, settings.read_token_sha256),
        public=settings.alone,
        logins=Logins(known.login_key(name)),
    )
    return app


def _market_data(around: Surroundings) -> FastAPI:
    poller = around.poller or make_poller(around.settings)
    return market_data.market_data_app(around.host, poller)


def _exchange(around: Surroundings) -> FastAPI:
    known = around.known
    accounts = default_universe().firm_accounts
    keys = Keys(
        [
            credential(known.api_key, known.api_secret, "firm-api"),
            *(credential(*known.read_only(name), name, trade=False) for name in accounts),
        ]
    )
    return exchange.exchange_app(around.host, keys)


def _custodian(around: Surroundings) -> FastAPI:
    return custodian_app(around.host)


def _trading_engine(around: Surroundings) -> FastAPI:
    return trading_engine_app(around.host)


def _risk_monitor(around: Surroundings) -> FastAPI:
    return risk.risk_app(around.host)


def _test_coordinator(around: Surroundings) -> FastAPI:
    return coordinator.coordinator_app(
        around.host,
        around.world,
        chaos_token=chaos_token(around),
        speed=around.settings.sim_speed,
        signing_key=around.settings.signing_key,
    )


def _audit_correlator(around: Surroundings) -> FastAPI:
    return audit_app(around.host)


def _published(module: Any) -> tuple[type[Message], ...]:
    found: tuple[type[Message], ...] = getattr(module, "PUBLISHED", ())
    return found


PARTS: dict[str, Part] = {
    MARKET_DATA: Part(_market_data, market_data.PROJECTIONS, _published(market_data)),
    EXCHANGE: Part(_exchange, exchange.PROJECTIONS, exchange.PUBLISHED),
    CUSTODIAN: Part(_custodian),
    TRADING_ENGINE: Part(_trading_engine),
    RISK_MONITOR: Part(_risk_monitor, risk.PROJECTIONS, _published(risk)),
    TEST_COORDINATOR: Part(_test_coordinator, coordinator.PROJECTIONS, coordinator.PUBLISHED),
    AUDIT_CORRELATOR: Part(_audit_correlator),
}
