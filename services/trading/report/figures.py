"""Numbers as people read them. Money in 1e-8 USD, shares in ppm, time in microseconds."""

from trading.scenario.result import FAIL, INCONCLUSIVE, PASS, ExpectationOutcome, Verdict
from trading.units import PPM, SCALE, format_duration

_SUFFIXES = ((1_000_000_000, "bn"), (1_000_000, "m"), (1_000, "k"))


def money(value: float) -> str:
    """``1234567 * SCALE`` -> ``"1.23m"``: three significant digits."""
    usd = value / SCALE
    size = abs(usd)
    for divisor, suffix in _SUFFIXES:
        if size >= divisor:
            return f"{usd / divisor:.3g}{suffix}"
    return f"{usd:.3g}" if size < 100 else f"{usd:.0f}"


def percent(ppm: float) -> str:
    """``-150000`` -> ``"-15%"``."""
    return f"{ppm / PPM * 100:.4g}%"


def clock(us: int) -> str:
    """Time since the start of the run, ``"1:02:03"``: hours, minutes, seconds, rounded down."""
    seconds = us // 1_000_000
    return f"{seconds // 3600}:{seconds % 3600 // 60:02d}:{seconds % 60:02d}"


def latency(expected: ExpectationOutcome) -> str:
    """How long the detection took; a dash where there was none, or where there shall be none."""
    return format_duration(expected.latency) if expected.latency >= 0 else "–"


def limit(expected: ExpectationOutcome) -> str:
    """The longest that it may take."""
    return "never" if expected.kind == "noAlert" else format_duration(expected.within)


def explanation(expected: ExpectationOutcome) -> str:
    """What was observed, against which limit; or why it was missed."""
    if expected.reason:
        return expected.reason
    if not expected.observed:
        return ""
    where = f"{expected.subject}: " if expected.subject else ""
    against = f", limit {expected.limit}" if expected.limit else ""
    return f"{where}{expected.observed}{against}"


def audit_summary(verdict: Verdict) -> str:
    """One line: how much was read, and whether it holds."""
    audit = verdict.audit
    found = len(audit.discrepancies)
    state = "everything reconciles" if not found else f"{found} discrepancies"
    if not audit.complete:
        state = "INCOMPLETE"
    return (
        f"{audit.events} events, coverage {percent(audit.coverage_ppm)}, {state}, "
        f"{audit.false_alarms} unexplained alerts"
    )


def recovery_summary(verdict: Verdict) -> str:
    """One line: how long it took, or why it never came."""
    recovery = verdict.recovery
    if recovery.took < 0:
        return f"not recovered: {recovery.reason}"
    took = f"{format_duration(recovery.took)} after the last fault"
    return f"{took}, limit {format_duration(recovery.within)}"


def tone(outcome: str) -> str:
    """``good``, ``bad`` or ``unsure``: which colour an outcome has."""
    return {PASS: "good", FAIL: "bad", INCONCLUSIVE: "unsure"}.get(outcome, "bad")
