"""Describes each service: its public API, and what its host keeps for that API.

Both ``trading up`` (all services in one process) and ``trading serve`` (one service) create their
components, sessions and apps from this table.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from fastapi import Request
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
from trading.hosting.origins import host_names
from trading.hosting.service_app import AppContext, ServiceApp
from trading.hosting.session import Session
from trading.hosting.session_control import SessionControl
from trading.hosting.session_factory import Projection
from trading.hosting.settings import Settings
from trading.hosting.tokens import Token, digest
from trading.messages import Message
from trading.runtime.component import Component
from trading.scenario.plan import ClockMode, RunPlan
from trading.server.credentials import Credentials
from trading.test_coordinator import IdleCoordinator
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


class ServiceContext(NamedTuple):
    """What the app of a service is created from.

    ``session_control`` opens sessions and sets the clock, for the test coordinator. ``poller``
    follows real prices, for market data; None if it is not enabled.
    """

    host: Host
    settings: Settings
    credentials: Credentials
    session_control: SessionControl
    poller: "Poller | None" = None


class ServiceSpec(NamedTuple):
    """How a service is built.

    ``app`` creates its HTTP API from what the process has, and from what the parts of the API
    share. ``projections`` and ``published`` are what this API needs from its
    :class:`~trading.hosting.host.Host`.
    """

    app: Callable[[ServiceContext, AppContext], ServiceApp]
    projections: Mapping[str, Callable[[Session], Projection]] = {}
    published: tuple[type[Message], ...] = ()


def chaos_allowed(settings: Settings) -> bool:
    """Return whether scenarios may be run.

    If the settings do not say, they may only be run where no other machine can connect.
    """
    if settings.enable_chaos_scenarios is not None:
        return settings.enable_chaos_scenarios
    return settings.loopback_only


def chaos_token(context: ServiceContext) -> Token:
    """Return the check for CHAOS_TOKEN; no request passes it if scenarios are not allowed."""
    if not chaos_allowed(context.settings):
        return Token("CHAOS_TOKEN")
    return _token(
        "CHAOS_TOKEN", context.credentials.chaos_token, context.settings.chaos_token_sha256
    )


def _token(setting: str, value: str, sha256: SecretStr | None) -> Token:
    return Token(setting, sha256.get_secret_value() if sha256 is not None else digest(value))


def build_components(session: Session) -> list[Component]:
    """Return all components of a session, in the order of the kernel.

    Between runs, an :class:`IdleCoordinator`, which does nothing, replaces the test coordinator.
    """
    session_components = components(session.plan)
    if session.run_id:
        return session_components
    return [c if c.name != TEST_COORDINATOR else IdleCoordinator() for c in session_components]


def idle_session(settings: Settings, start: int, poller: "Poller | None" = None) -> Session:
    """Return a session without faults, for the time between runs.

    It begins at the simulated time ``start`` in microseconds, with the real prices that ``poller``
    has received so far.
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


def make_app(
    name: str,
    context: ServiceContext,
    *,
    instance: str = "",
    may_read_journal: Callable[[Access, Request], None] = Access.may_read,
) -> ServiceApp:
    """Return the HTTP API of the service ``name``.

    It answers to the host names, and accepts the tokens and logins, that the settings and the
    credentials give it. For ``instance`` and ``may_read_journal`` see
    :class:`~trading.hosting.service_app.AppContext`.
    """
    settings, credentials = context.settings, context.credentials
    access = Access(
        act=_token("RISK_TOKEN", credentials.risk_token, None) if name == RISK_MONITOR else None,
        read=_token("READ_TOKEN", credentials.read_token, settings.read_token_sha256),
        public=settings.loopback_only,
        logins=Logins(credentials.login_key(name)),
    )
    app_context = AppContext(
        name,
        context.host,
        access=access,
        hosts=host_names(name, settings.bind_hosts, settings.hosts),
        instance=instance,
        may_read_journal=may_read_journal,
    )
    return SERVICE_SPECS[name].app(context, app_context)


def _market_data(context: ServiceContext, app_context: AppContext) -> ServiceApp:
    poller = context.poller or make_poller(context.settings)
    return market_data.market_data_app(app_context, poller)


def _exchange(context: ServiceContext, app_context: AppContext) -> ServiceApp:
    credentials = context.credentials
    accounts = default_universe().firm_accounts
    keys = Keys(
        [
            credential(credentials.api_key, credentials.api_secret, "firm-api"),
            *(credential(*credentials.read_only(name), name, trade=False) for name in accounts),
        ]
    )
    return exchange.exchange_app(app_context, keys)


def _custodian(context: ServiceContext, app_context: AppContext) -> ServiceApp:
    return custodian_app(app_context)


def _trading_engine(context: ServiceContext, app_context: AppContext) -> ServiceApp:
    return trading_engine_app(app_context)


def _risk_monitor(context: ServiceContext, app_context: AppContext) -> ServiceApp:
    return risk.risk_app(app_context)


def _test_coordinator(context: ServiceContext, app_context: AppContext) -> ServiceApp:
    return coordinator.coordinator_app(
        app_context,
        context.session_control,
        chaos_token=chaos_token(context),
        speed=context.settings.sim_speed,
        signing_key=context.settings.signing_key,
    )


def _audit_correlator(context: ServiceContext, app_context: AppContext) -> ServiceApp:
    return audit_app(app_context)


def _published_by(module: Any) -> tuple[type[Message], ...]:
    published: tuple[type[Message], ...] = getattr(module, "PUBLISHED", ())
    return published


SERVICE_SPECS: dict[str, ServiceSpec] = {
    MARKET_DATA: ServiceSpec(_market_data, market_data.PROJECTIONS, _published_by(market_data)),
    EXCHANGE: ServiceSpec(_exchange, exchange.PROJECTIONS, exchange.PUBLISHED),
    CUSTODIAN: ServiceSpec(_custodian),
    TRADING_ENGINE: ServiceSpec(_trading_engine),
    RISK_MONITOR: ServiceSpec(_risk_monitor, risk.PROJECTIONS, _published_by(risk)),
    TEST_COORDINATOR: ServiceSpec(
        _test_coordinator, coordinator.PROJECTIONS, coordinator.PUBLISHED
    ),
    AUDIT_CORRELATOR: ServiceSpec(_audit_correlator),
}
