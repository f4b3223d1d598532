"""The table of services: names, ports, networks, and who may open connections to whom.

A deployment has one network for each callee, which joins it to its callers; only the callee listens
there.
"""

from typing import NamedTuple

EXCHANGE = "exchange"
CUSTODIAN = "custodian"
MARKET_DATA = "market-data"
TRADING_ENGINE = "trading-engine"
RISK_MONITOR = "risk-monitor"
TEST_COORDINATOR = "test-coordinator"
AUDIT_CORRELATOR = "audit-correlator"

PRODUCTION_APIS = "production-apis"
AUDIT = "audit"
INTERNAL = "internal"


class Service(NamedTuple):
    """One service of the ecosystem.

    ``port`` is where it listens. ``calls`` has the services that it opens connections to, each with
    the network that it uses.
    """

    name: str
    port: int
    calls: dict[str, str]


SERVICES: dict[str, Service] = {
    s.name: s
    for s in (
        Service(MARKET_DATA, 8082, {}),
        Service(EXCHANGE, 8080, {MARKET_DATA: INTERNAL}),
        Service(CUSTODIAN, 8081, {EXCHANGE: INTERNAL}),
        Service(TRADING_ENGINE, 8083, {EXCHANGE: INTERNAL, MARKET_DATA: INTERNAL}),
        Service(
            RISK_MONITOR,
            8084,
            {
                EXCHANGE: PRODUCTION_APIS,
                CUSTODIAN: PRODUCTION_APIS,
                MARKET_DATA: PRODUCTION_APIS,
            },
        ),
        Service(
            TEST_COORDINATOR,
            8085,
            {
                MARKET_DATA: INTERNAL,
                EXCHANGE: INTERNAL,
                CUSTODIAN: INTERNAL,
                TRADING_ENGINE: INTERNAL,
                RISK_MONITOR: INTERNAL,
                AUDIT_CORRELATOR: INTERNAL,
            },
        ),
        Service(
            AUDIT_CORRELATOR,
            8086,
            {
                MARKET_DATA: AUDIT,
                EXCHANGE: AUDIT,
                CUSTODIAN: AUDIT,
                TRADING_ENGINE: AUDIT,
                RISK_MONITOR: AUDIT,
                TEST_COORDINATOR: AUDIT,
            },
        ),
    )
}

#: Services of which several instances may run, with the highest number of instances: each needs a
#: journal of its own.
MAX_INSTANCES = {TRADING_ENGINE: 8}


def service_of(name: str) -> str:
    """Return the service that an instance belongs to: ``trading-engine-2`` is a trading engine."""
    return name if name in SERVICES else name.rpartition("-")[0]


POSTGRES = "postgres"
REDIS = "redis"
OTEL_COLLECTOR = "otel-collector"
JAEGER = "jaeger"
PROMETHEUS = "prometheus"
GRAFANA = "grafana"
#: Only in deployments on Kubernetes.
OPERATOR = "operator"


class BackingService(NamedTuple):
    """A part of a deployment that is not one of the services: a database, a tool of observability,
    or the operator.

    ``ports`` has its ports, each with those that open connections to it. The first is the main one.
    """

    name: str
    ports: dict[int, tuple[str, ...]]

    @property
    def callers(self) -> tuple[str, ...]:
        """Return all that open connections to any of its ports."""
        return tuple(dict.fromkeys(name for names in self.ports.values() for name in names))


#: The Job that creates roles and schemas.
DATABASE_SETUP = "database"

INFRASTRUCTURE: dict[str, BackingService] = {
    s.name: s
    for s in (
        BackingService(POSTGRES, {5432: (*SERVICES, DATABASE_SETUP)}),
        BackingService(REDIS, {6379: (MARKET_DATA, TRADING_ENGINE)}),
        # Ports for: traces, its own metrics, its health.
        BackingService(OTEL_COLLECTOR, {4318: tuple(SERVICES), 8889: (PROMETHEUS,), 13133: ()}),
        # Ports for: the page and its API, traces.
        BackingService(JAEGER, {16686: (GRAFANA,), 4317: (OTEL_COLLECTOR,)}),
        BackingService(PROMETHEUS, {9090: (GRAFANA,)}),
        BackingService(GRAFANA, {3000: ()}),
        # Ports for: its metrics, its health.
        BackingService(OPERATOR, {8088: (PROMETHEUS,), 8087: ()}),
    )
}

#: What people open in a browser or with a client, on fixed ports.
PUBLISHED = (*SERVICES, GRAFANA, PROMETHEUS, JAEGER)


def may_connect(source: str, target: str) -> bool:
    """Return whether ``source`` may open a connection to ``target``.

    Responses on an open connection are always allowed.
    """
    return target in SERVICES[source].calls


def callers(name: str) -> tuple[str, ...]:
    """Return those that open connections to a service or store, in a deployment with all parts.

    Prometheus scrapes every service, and the operator starts runs at the test coordinator.
    """
    if name in INFRASTRUCTURE:
        return INFRASTRUCTURE[name].callers
    names = (*(other for other in SERVICES if may_connect(other, name)), PROMETHEUS)
    return (*names, OPERATOR) if name == TEST_COORDINATOR else names
