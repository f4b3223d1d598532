"""verdict.json: the verdict as data, complete enough to check the journals against."""

import msgspec

from trading.scenario.result import Verdict


def render_json(verdict: Verdict) -> str:
    """Indented JSON with the fields of :class:`trading.scenario.result.Verdict`; times in
    microseconds of simulated time, money in units of 1e-8.
    """
    return msgspec.json.format(msgspec.json.encode(verdict), indent=2).decode() + "\n"
