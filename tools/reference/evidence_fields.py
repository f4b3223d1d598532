"""The meaning of each field of a verdict.

tests/repository/test_reference.py fails on a field without an entry, and on an entry without a
field.
"""

from trading.messages.chaos import FaultEnd

FIELDS: dict[str, str] = {
    "Verdict.scenario": "Name of the scenario.",
    "Verdict.description": "Its description.",
    "Verdict.seed": "Seed of the run.",
    "Verdict.outcome": "What the run proves; see verdict rules.",
    "Verdict.reasons": "Why it is not a Pass; empty for a Pass.",
    "Verdict.started_at": "When the run began.",
    "Verdict.ended_at": "When the run ended.",
    "Verdict.phases": "When each phase began.",
    "Verdict.faults": "Each fault, from the request to its verified end.",
    "Verdict.expectations": "Each expectation, in the order of the scenario.",
    "Verdict.recovery": "Whether everything was right again after the last fault.",
    "Verdict.audit": "The report of the audit correlator.",
    "Verdict.conditions": "The verdict as Kubernetes conditions.",
    "Verdict.alerts": "Every alert that fired, expected or not.",
    "Verdict.control": "What fired in the run without faults.",
    "Verdict.setup": "What the coordinator was told to run.",
    "Verdict.command": "The command that makes the same run again, embedded.",
    "Verdict.monitors": "What each judged monitor did; empty if the scenario names none.",
    "Verdict.clock": "How simulated time went on.",
    "PhaseStart.phase": "Name of the phase.",
    "PhaseStart.at": "When it began.",
    "FaultOutcome.name": "Name of the fault in the scenario.",
    "FaultOutcome.kind": "Its kind.",
    "FaultOutcome.requested_at": "When the coordinator asked the service to play it.",
    "FaultOutcome.applied_at": "When the service began to play it. This is no evidence.",
    "FaultOutcome.injected_at": "Event time of the first evidence in the data plane.",
    "FaultOutcome.evidence": "What that evidence is.",
    "FaultOutcome.ended_at": "When the service stopped playing it.",
    "FaultOutcome.end_reason": f"`{FaultEnd.RECOVERED}` (the coordinator asked for it),"
    f" `{FaultEnd.LEASE_EXPIRED}`, or `{FaultEnd.REFUSED}_` and why: then it was never applied.",
    "FaultOutcome.recovered_at": "Since when the data plane is right again.",
    "ExpectationOutcome.label": "The expectation in one line.",
    "ExpectationOutcome.kind": "`alert`, `breaker`, `noAlert` or `promql`.",
    "ExpectationOutcome.name": "The rule, the breaker's state, or the query.",
    "ExpectationOutcome.of": "The fault that must be noticed; empty for `noAlert`.",
    "ExpectationOutcome.within": "The limit for `latency`.",
    "ExpectationOutcome.met": "Whether it was met.",
    "ExpectationOutcome.latency": "From `injected_at` of the fault to the detection, never below 0;"
    " -1 if there was no detection.",
    "ExpectationOutcome.detected_at": "When the risk monitor detected it; for a monitor of"
    " yours, when its alert arrived.",
    "ExpectationOutcome.subject": "What the alert is about.",
    "ExpectationOutcome.observed": "The value that the monitor saw, or the breaker's reason.",
    "ExpectationOutcome.limit": "The limit of the rule; empty for a monitor of yours.",
    "ExpectationOutcome.reason": "Why it was not met; empty if it was.",
    "RecoveryOutcome.recovered": "Whether everything was right again in time.",
    "RecoveryOutcome.within": "The limit for `took`.",
    "RecoveryOutcome.took": "From the end of the last fault to the verified recovery; -1 if it"
    " never came.",
    "RecoveryOutcome.reason": "Why not; empty if it recovered in time.",
    "AuditOutcome.complete": "Every journal was read to its head, and every chain holds.",
    "AuditOutcome.events": "Entries that the auditor has verified.",
    "AuditOutcome.root": "Head of the auditor's own hash chain. A copy kept elsewhere tells this"
    " run from any other.",
    "AuditOutcome.coverage_ppm": "Entries read of entries written, in parts per million.",
    "AuditOutcome.discrepancies": "Everything that does not reconcile.",
    "AuditOutcome.correlations": "For each fault: injection, effect, first alert, recovery.",
    "AuditOutcome.false_alarms": "Alerts that no fault explains.",
    "AuditOutcome.journals": "By component: length and head of its journal at the end of the run.",
    "Discrepancy.kind": "Which records do not agree.",
    "Discrepancy.where": "The service, account or asset.",
    "Discrepancy.expected": "What the auditor computed.",
    "Discrepancy.actual": "What the service has.",
    "Discrepancy.detail": "In words.",
    "Correlation.fault_id": "Name of the fault.",
    "Correlation.applied": "When the service began to play it.",
    "Correlation.effect": "When its effect was seen.",
    "Correlation.first_alert": "When the first alert after it fired.",
    "Correlation.first_alert_rule": "The rule of that alert.",
    "Correlation.recovered": "When the data plane was right again.",
    "JournalHead.events": "Number of entries.",
    "JournalHead.head": "The last hash.",
    "Condition.type": "See ChaosScenario resource.",
    "Condition.status": "`True`, `False` or `Unknown`.",
    "Condition.reason": "One word.",
    "Condition.message": "In words.",
    "Condition.last_transition_time": "When it became so.",
    "AlertOutcome.rule": "The risk rule, or the name of the alert of a monitor of yours.",
    "AlertOutcome.subject": "What it is about: portfolio, account, asset, symbol or service. For a"
    " monitor of yours its label `subject`, or else all its labels.",
    "AlertOutcome.severity": "How bad it is; for a monitor of yours its label `severity`.",
    "AlertOutcome.observed": "The value that the monitor saw.",
    "AlertOutcome.limit": "The limit of the rule; empty for a monitor of yours.",
    "AlertOutcome.event_time": "Time of the event that broke the limit. For a monitor of yours"
    " the time that it claims.",
    "AlertOutcome.detected_at": "When the risk monitor detected it; for a monitor of"
    " yours, when its alert arrived.",
    "AlertOutcome.resolved_at": "When it was resolved; 0 if it still fired at the end.",
    "AlertOutcome.expected": "Whether an expectation asks for it.",
    "AlertOutcome.monitor": "The monitor of yours that raised it; empty for the built-in one.",
    "AlertOutcome.labels": "The labels that this monitor gave it.",
    "MonitorOutcome.name": "Name of the monitor in `spec.monitors`.",
    "MonitorOutcome.program": "What was run as the monitor; empty for the built-in one.",
    "MonitorOutcome.open_loop": "Whether its alerts came from a file, so that it could stop"
    " nothing.",
    "MonitorOutcome.failure": "Why it could not be judged; empty if it could.",
    "MonitorOutcome.detections": "For each fault: the first alert that it caused.",
    "MonitorOutcome.alerts": "How many alerts it raised.",
    "MonitorOutcome.unexpected": "How many of them came before the first fault, or also fire in the"
    " run without faults.",
    "MonitorDetection.fault": "Name of the fault.",
    "MonitorDetection.alert": "The first alert after the fault was applied that does not also"
    " fire in the run without faults; empty if there was none.",
    "MonitorDetection.subject": "What this alert is about.",
    "MonitorDetection.detected_at": "When it came; 0 if there was none.",
    "MonitorDetection.latency": "From `injected_at` of the fault to it, never below 0.",
    "ControlRun.until": "How far the run without faults went; 0 if there was none.",
    "ControlRun.signals": "Rule and subject of every alert that fired in it, with `MONITOR: `"
    " before the name of an alert of a monitor of yours; `breaker` and the state of every change of"
    " the circuit breaker.",
    "RunSetup.scenario": "Name of the scenario.",
    "RunSetup.description": "Its description.",
    "RunSetup.version": "Version of the program that made the plan.",
    "RunSetup.plan_digest": "SHA-256 of the plan, without clock, description, overrides, source and"
    " version. Every journal begins with its first 16 digits.",
    "RunSetup.seed": "Seed of the run.",
    "RunSetup.limits": "Limit of every rule that is on.",
    "RunSetup.disabled_rules": "Rules that the scenario switched off.",
    "RunSetup.overrides": "Path in `spec` and value of everything that was changed for this run.",
    "ClockRecord.mode": "`virtual` or `wall`.",
    "ClockRecord.speed": "Simulated seconds per wall second; with a virtual clock the ceiling, null"
    " without one.",
    "ClockRecord.waited": "By service: wall seconds that time waited for it. It differs from run to"
    " run; nothing else in a verdict depends on it.",
}
