"""The dashboard of the risk desk: limits and their utilisation, alerts, compliance, circuit
breaker.
"""

from tools.dashboards.spec import (
    BARS,
    BREAKER,
    FIRED_ALERTS,
    LIMIT,
    LINES,
    NONE_IS_GOOD,
    STAT,
    STATES,
    TABLE,
    Dashboard,
    Panel,
    Query,
)

DASHBOARD = Dashboard(
    "risk-monitoring",
    "Risk Monitoring",
    "Limits and how much of them is used, the timeline of alerts, compliance, circuit breaker.",
    {
        "Limits": (
            Panel(
                BARS,
                "Used of each limit",
                "1 is the limit; the rule alerts above it.",
                "percentunit",
                (Query("risk_monitor_limit_utilisation_ratio", "{{rule}} {{subject}}"),),
                12,
                12,
                steps=LIMIT,
            ),
            Panel(
                LINES,
                "Used of each limit over time",
                "The subject that uses most, by rule.",
                "percentunit",
                (Query("max by (rule) (risk_monitor_limit_utilisation_ratio)", "{{rule}}"),),
                12,
                12,
            ),
            Panel(
                LINES,
                "Exposure",
                "Value of all coins, long and short.",
                "currencyUSD",
                (
                    Query("risk_monitor_gross_exposure", "gross"),
                    Query("risk_monitor_net_exposure", "net"),
                ),
            ),
            Panel(
                LINES,
                "Value at risk",
                "99 %, one day.",
                "currencyUSD",
                (Query("risk_monitor_value_at_risk", "value at risk"),),
            ),
            Panel(
                LINES,
                "Drawdown",
                "Fall of equity from its peak.",
                "percentunit",
                (Query("risk_monitor_portfolio_drawdown_ratio", "drawdown"),),
            ),
        ),
        "Alerts": (
            Panel(
                STATES,
                "Alert timeline",
                "When each rule had an open alert.",
                "none",
                (
                    Query(
                        "clamp_max(sum by (rule) (risk_monitor_alerts), 1)",
                        "{{rule}}",
                    ),
                ),
                16,
                12,
                names={"0": ("quiet", "green"), "1": ("open", "red")},
            ),
            Panel(
                TABLE,
                "Fired since the start",
                "By rule and severity.",
                "none",
                FIRED_ALERTS,
                8,
                12,
            ),
        ),
        "Compliance": (
            Panel(
                STAT,
                "Limits broken",
                "How many limits are exceeded now.",
                "none",
                (Query("count(risk_monitor_limit_utilisation_ratio > 1) or vector(0)"),),
                6,
                steps=NONE_IS_GOOD,
            ),
            Panel(
                STAT,
                "Limits kept",
                "Share of limits that are not exceeded.",
                "percentunit",
                (Query("avg(risk_monitor_limit_utilisation_ratio <= bool 1)"),),
                6,
                steps=((None, "red"), (1, "green")),
            ),
            Panel(
                STAT,
                "Settlements overdue",
                "Past their settlement date at the custodian.",
                "none",
                (Query("custodian_settlements_overdue"),),
                6,
                steps=NONE_IS_GOOD,
            ),
            Panel(
                STAT,
                "Audit discrepancies",
                "What the audit correlator could not reconcile.",
                "none",
                (Query("audit_discrepancies"),),
                6,
                steps=NONE_IS_GOOD,
            ),
        ),
        "Circuit breaker": (
            Panel(
                STATES,
                "State",
                "ACTIVE, REDUCING or HALTED over time.",
                "none",
                (Query("risk_monitor_breaker_state", "breaker"),),
                12,
                names=BREAKER,
            ),
            Panel(
                STAT,
                "Changes",
                "Into each state, since the start.",
                "none",
                (Query("risk_monitor_breaker_changes_total", "{{state}}"),),
                6,
            ),
            Panel(
                STAT,
                "Strategies",
                "STOPPED: by the kill switch; STANDBY: another engine trades for the account.",
                "none",
                (Query("sum by (state) (trading_engine_strategies)", "{{state}}"),),
                6,
            ),
            Panel(
                LINES,
                "Orders by strategy",
                "Sent to the exchange each second.",
                "reqps",
                (
                    Query(
                        "sum by (account) (rate(trading_engine_orders_total[$__rate_interval]))",
                        "{{account}}",
                    ),
                ),
                12,
            ),
            Panel(
                LINES,
                "Rejected and expired orders",
                "Execution reports of that type each second.",
                "reqps",
                (
                    Query(
                        "sum by (type) (rate("
                        'exchange_execution_reports_total{type=~"REJECTED|EXPIRED"}'
                        "[$__rate_interval]))",
                        "{{type}}",
                    ),
                ),
                12,
            ),
        ),
    },
)
