"""Render verdict.json: the verdict as data, with the journal heads to verify the journals."""

import msgspec

from trading.scenario.result import Verdict


def render_json(verdict: Verdict) -> str:
    """Return indented JSON with the fields of :class:`trading.scenario.result.Verdict`; times are
    in microseconds of simulated time, money in units of 1e-8.
    """
    return msgspec.json.format(msgspec.json.encode(verdict), indent=2).decode() + "\n"
