"""Format figures for people: money in 1e-8 USD, shares in ppm, time in microseconds."""

from trading.scenario.result import ExpectationOutcome, Outcome, Verdict
from trading.units import PPM, SCALE, format_duration

_SUFFIXES = ((1_000_000_000, "bn"), (1_000_000, "m"), (1_000, "k"))


def money(value: float) -> str:
    """Format an amount in 1e-8 USD with three significant digits: ``1234567 * SCALE`` ->
    ``"1.23m"``.
    """
    usd = value / SCALE
    size = abs(usd)
    for divisor, suffix in _SUFFIXES:
        if size >= divisor:
            return f"{usd / divisor:.3g}{suffix}"
    return f"{usd:.3g}" if size < 100 else f"{usd:.0f}"


def percent(ppm: float) -> str:
    """Format a share in ppm: ``-150000`` -> ``"-15%"``."""
    return f"{ppm / PPM * 100:.4g}%"


def clock(us: int) -> str:
    """Format the time since the start of a run, rounded down: hours, minutes, seconds,
    ``"1:02:03"``.
    """
    seconds = us // 1_000_000
    return f"{seconds // 3600}:{seconds % 3600 // 60:02d}:{seconds % 60:02d}"


def latency(expected: ExpectationOutcome) -> str:
    """Format how long a detection took; a dash if there was none."""
    return format_duration(expected.latency) if expected.latency >= 0 else "–"


def limit(expected: ExpectationOutcome) -> str:
    """Format how long a detection may take; "never" if the alert must not fire."""
    return "never" if expected.kind == "noAlert" else format_duration(expected.within)


def explanation(expected: ExpectationOutcome) -> str:
    """Return what was observed against which limit, or why the expectation was missed."""
    if expected.reason:
        return expected.reason
    if not expected.observed:
        return ""
    where = f"{expected.subject}: " if expected.subject else ""
    against = f", limit {expected.limit}" if expected.limit else ""
    return f"{where}{expected.observed}{against}"


def audit_summary(verdict: Verdict) -> str:
    """Return one line about the audit: how much was read, and whether it reconciles."""
    audit = verdict.audit
    count = len(audit.discrepancies)
    state = "everything reconciles" if not count else f"{count} discrepancies"
    if not audit.complete:
        state = "INCOMPLETE"
    return (
        f"{audit.events} events, coverage {percent(audit.coverage_ppm)}, {state}, "
        f"{audit.false_alarms} unexplained alerts"
    )


def recovery_summary(verdict: Verdict) -> str:
    """Return one line about the recovery: how long it took, or why there was none."""
    recovery = verdict.recovery
    if recovery.took < 0:
        return f"not recovered: {recovery.reason}"
    took = f"{format_duration(recovery.took)} after the last fault"
    return f"{took}, limit {format_duration(recovery.within)}"


def tone(outcome: Outcome) -> str:
    """Return the class that colours an outcome: ``good``, ``bad`` or ``unsure``."""
    match outcome:
        case Outcome.PASS:
            return "good"
        case Outcome.INCONCLUSIVE:
            return "unsure"
        case Outcome.FAIL | Outcome.ABORTED | Outcome.ERROR:
            return "bad"
