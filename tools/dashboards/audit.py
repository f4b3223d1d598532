"""The dashboard for auditors: injections, detection, correlation, coverage."""

from tools.dashboards.spec import (
    ACTIVE_FAULTS,
    BARS,
    KEPT_VERDICTS,
    LINES,
    NONE_IS_GOOD,
    ON_OFF,
    STAT,
    STATES,
    TABLE,
    Dashboard,
    Panel,
    Query,
)

DASHBOARD = Dashboard(
    "audit-correlation",
    "Audit Correlation",
    "When faults were injected, how soon they were noticed, what led to what, what was validated.",
    {
        "Injection": (
            Panel(
                STATES,
                "Injection timeline",
                "When each fault was seen in the data plane.",
                "none",
                ACTIVE_FAULTS,
                12,
                names=ON_OFF,
            ),
            Panel(
                STATES,
                "Phases of the run",
                "From the steady state to the verdict.",
                "none",
                (Query("test_coordinator_run_phase", "{{phase}}"),),
                12,
                names={"0": ("", "transparent"), "1": ("now", "blue")},
            ),
            Panel(
                STAT,
                "Faults",
                "Applied by their service, seen, ended, and seen to be over.",
                "none",
                (Query("test_coordinator_faults_total", "{{event}}"),),
                24,
                4,
            ),
        ),
        "Detection": (
            Panel(
                BARS,
                "Detection latency",
                "Simulated time from a fault's effect to its detection, in the newest verdict.",
                "s",
                (
                    Query(
                        "test_coordinator_detection_latency_seconds", "{{fault}}: {{expectation}}"
                    ),
                ),
                12,
            ),
            Panel(
                BARS,
                "Used of the time allowed",
                "Detection latency as a share of what the scenario allows.",
                "percentunit",
                (
                    Query(
                        "test_coordinator_detection_latency_seconds"
                        " / (test_coordinator_detection_limit_seconds > 0)",
                        "{{fault}}: {{expectation}}",
                    ),
                ),
                12,
                steps=((None, "green"), (0.8, "orange"), (1, "red")),
            ),
        ),
        "Correlation": (
            Panel(
                TABLE,
                "From fault to effect, alert, recovery",
                "Simulated seconds after the fault was applied, from the journals.",
                "s",
                (Query("audit_fault_delay_seconds"),),
                12,
            ),
            Panel(
                STAT,
                "Discrepancies",
                "Journals that contradict each other.",
                "none",
                (Query("audit_discrepancies"),),
                6,
                steps=NONE_IS_GOOD,
            ),
            Panel(
                STAT,
                "Unexplained alerts",
                "Alerts that no fault explains.",
                "none",
                (Query("audit_unexplained_alerts"),),
                6,
                steps=NONE_IS_GOOD,
            ),
        ),
        "Coverage": (
            Panel(
                LINES,
                "Verified entries",
                "Of each journal, as far as its hash chain was checked.",
                "none",
                (Query("audit_journal_read", "{{source}}"),),
                12,
            ),
            Panel(
                BARS,
                "Read of each journal",
                "Verified entries as a share of those written.",
                "percentunit",
                (
                    Query(
                        "clamp_max(sum by (job) (label_replace(audit_journal_read,"
                        ' "job", "$1", "source", "(.*)"))'
                        " / sum by (job) (trading_journal_entries), 1)",
                        "{{job}}",
                    ),
                ),
                6,
                steps=((None, "red"), (0.99, "green")),
            ),
            Panel(
                STAT,
                "Broken chains",
                "Journals that were changed or cut.",
                "none",
                (Query("audit_chains_broken"),),
                6,
                steps=NONE_IS_GOOD,
            ),
            Panel(
                STAT,
                "Verdicts",
                "Of all runs whose verdict is kept.",
                "none",
                KEPT_VERDICTS,
                24,
                4,
            ),
        ),
    },
)
