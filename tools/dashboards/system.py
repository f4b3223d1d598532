"""The dashboard for operators: health, response times, resources, errors and recovery."""

from tools.dashboards.spec import LINES, STAT, STATES, UP_DOWN, Dashboard, Panel, Query

_BUCKETS = "trading_http_request_duration_seconds_bucket[$__rate_interval]"
_REQUESTS = "rate(trading_http_requests_total[$__rate_interval])"
_FAILED = 'rate(trading_http_requests_total{code=~"5.."}[$__rate_interval])'

DASHBOARD = Dashboard(
    "system-performance",
    "System Performance",
    "Health and uptime, response times, resources, error rates and recovery of every service.",
    {
        "Health": (
            Panel(
                STATES,
                "Services",
                "Does Prometheus reach the service?",
                "none",
                (Query("min by (job) (up)", "{{job}}"),),
                12,
                10,
                names=UP_DOWN,
            ),
            Panel(
                STATES,
                "Dependencies",
                "Does every link of a service to others, its journal and its stores work?",
                "none",
                (Query("min by (service) (trading_dependency_up)", "{{service}}"),),
                12,
                10,
                names=UP_DOWN,
            ),
            Panel(
                STAT,
                "Uptime",
                "Since the process started.",
                "s",
                (Query("min by (job) (time() - process_start_time_seconds)", "{{job}}"),),
                24,
                5,
            ),
        ),
        "Response times": (
            *(
                Panel(
                    LINES,
                    f"Response time, {name}",
                    f"Of {share:.0%} of requests, no longer than this.",
                    "s",
                    (
                        Query(
                            f"histogram_quantile({share}, sum by (le, service) (rate({_BUCKETS})))",
                            "{{service}}",
                        ),
                    ),
                )
                for name, share in (("median", 0.5), ("p95", 0.95), ("p99", 0.99))
            ),
            Panel(
                LINES,
                "Requests",
                "Answered each second; health and metrics apart.",
                "reqps",
                (Query(f"sum by (service) ({_REQUESTS})", "{{service}}"),),
                24,
            ),
        ),
        "Resources": (
            Panel(
                LINES,
                "CPU",
                "Cores that the process uses.",
                "none",
                (
                    Query(
                        "sum by (job) (rate(process_cpu_seconds_total[$__rate_interval]))",
                        "{{job}}",
                    ),
                ),
            ),
            Panel(
                LINES,
                "Memory",
                "Resident memory of the process.",
                "bytes",
                (Query("sum by (job) (process_resident_memory_bytes)", "{{job}}"),),
            ),
            Panel(
                LINES,
                "Open files",
                "File descriptors: connections, too.",
                "none",
                (Query("sum by (job) (process_open_fds)", "{{job}}"),),
            ),
            Panel(
                LINES,
                "Journal entries",
                "Decided each second.",
                "none",
                (
                    Query(
                        "sum by (service) (deriv(trading_journal_entries[$__rate_interval]))",
                        "{{service}}",
                    ),
                ),
            ),
            Panel(
                LINES,
                "Entries not durable",
                "Decided, and not written yet.",
                "none",
                (Query("max by (service) (trading_journal_unwritten)", "{{service}}"),),
            ),
            Panel(
                LINES,
                "Speed of time",
                "Simulated seconds in a second.",
                "none",
                (Query("max by (service) (trading_sim_speed)", "{{service}}"),),
            ),
        ),
        "Errors and recovery": (
            Panel(
                LINES,
                "Error rate",
                "Share of requests that were answered with 5xx.",
                "percentunit",
                (
                    Query(
                        f"(sum by (service) ({_FAILED}) or sum by (service) ({_REQUESTS}) * 0)"
                        f" / (sum by (service) ({_REQUESTS}) > 0)",
                        "{{service}}",
                    ),
                ),
            ),
            Panel(
                LINES,
                "Trades",
                "Each second, by symbol.",
                "none",
                (
                    Query(
                        "sum by (symbol) (rate(exchange_trades_total[$__rate_interval]))",
                        "{{symbol}}",
                    ),
                ),
            ),
            Panel(
                STAT,
                "Recovered faults",
                "Share of ended faults after which all was seen to be right again.",
                "percentunit",
                (
                    Query(
                        'sum(test_coordinator_faults_total{event="recovered"})'
                        ' / (sum(test_coordinator_faults_total{event="ended"}) > 0)'
                    ),
                ),
                steps=((None, "red"), (1, "green")),
            ),
            Panel(
                LINES,
                "Dependencies that are down",
                "By service, with the name of what it does not reach.",
                "none",
                (
                    Query(
                        "sum by (service) (1 - trading_dependency_up)",
                        "{{service}}",
                    ),
                ),
                24,
            ),
        ),
    },
)
