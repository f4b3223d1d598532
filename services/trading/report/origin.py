"""What a verdict is about, for people: what was changed, which alerts came, how to run it again."""

from collections.abc import Mapping
from typing import NamedTuple

from trading.scenario.result import PASS, Verdict
from trading.units import format_duration


class Fired(NamedTuple):
    """All alerts of one rule on one subject. ``first``: of the first of them, microseconds since
    the start of the run; ``firing``: does any still fire at the end?
    """

    name: str
    times: int
    first: int
    firing: bool
    severity: str
    seen: str
    expected: bool


def changes(overrides: Mapping[str, str]) -> str:
    """Return ``"faults.crash.at=2m, seed=9"``, empty where nothing was changed."""
    return ", ".join(f"{path}={value}" for path, value in overrides.items())


def label(description: str, overrides: Mapping[str, str]) -> str:
    """Return the description, and what of it may not be true since something was changed."""
    changed = f"changed: {changes(overrides)}" if overrides else ""
    return f"{description} ({changed})" if description and changed else description or changed


def program(verdict: Verdict) -> str:
    """Return one line: by which version, which plan and which seed."""
    setup = verdict.setup
    return f"version {setup.version}, plan {setup.plan_digest}, seed {setup.seed}"


def clock_summary(verdict: Verdict) -> str:
    """Return one line: by which clock, and for whom time waited."""
    clock = verdict.clock
    speed = "as fast as the machine could" if clock.speed is None else f"{clock.speed:g}x"
    if clock.mode == "virtual" and clock.speed is not None:
        speed = f"at most {speed}"
    waited = [
        f"{name} {format_duration(round(seconds * 1_000_000))}"
        for name, seconds in clock.waited.items()
        if seconds
    ]
    return f"{clock.mode}, {speed}" + (f"; time waited for {', '.join(waited)}" if waited else "")


def control_summary(verdict: Verdict) -> str:
    """Return one line: what the same market did without the faults."""
    if not verdict.control.until:
        needed = verdict.outcome == PASS
        return "none: not known what fires without the faults" if needed else "only before a Pass"
    until = format_duration(verdict.control.until - verdict.started_at)
    signals = ", ".join(f"{rule} {subject}" for rule, subject in verdict.control.signals)
    return f"without the faults, in the first {until}: {signals or 'no alert'}"


def fired(verdict: Verdict) -> list[Fired]:
    """Return every alert that came, those of one rule on one subject together, oldest first."""
    found: dict[tuple[str, str], Fired] = {}
    for alert in verdict.alerts:
        key = (alert.rule, alert.subject)
        known = found.get(key)
        firing = not alert.resolved_at
        if known is None:
            found[key] = Fired(
                f"{alert.rule} on {alert.subject}",
                1,
                alert.detected_at - verdict.started_at,
                firing,
                alert.severity,
                f"{alert.observed}, limit {alert.limit}",
                alert.expected,
            )
        else:
            found[key] = known._replace(times=known.times + 1, firing=known.firing or firing)
    return list(found.values())
