"""Generate the pages that are tables of the code: risk rules, settings, signals."""

from pathlib import Path

from tools import signal_table
from tools.reference.markdown import FOLDER
from trading.hosting.settings import Settings
from trading.links.peers import LinkSettings
from trading.risk_monitor import rules_table_markdown

RULES = FOLDER / "rules.md"
SETTINGS = FOLDER / "settings.md"

_RULES = """# Rules of the risk monitor

This page is generated from the rule table in `trading.risk_monitor.rules`. A scenario changes a
limit with `controls.limits` and switches a rule off with `controls.disable`.

A `pre` rule looks at orders, a `post` rule at positions and P&L, an `at` rule at the market and the
venue while they trade, and a `surveillance` rule at patterns of orders. "Breaker" is the state that
the circuit breaker enters when the rule fires; `kill account` engages the kill switch of the one
account that broke the limit.

"""

_SETTINGS = """# Settings

This page is generated from the models of the settings. Each setting comes from an environment
variable or from a file `.env` in the working directory. A secret can also come from a file: set the
name with `_FILE` behind it, such as `CHAOS_TOKEN_FILE=/run/secrets/chaos`. A service with a wrong
setting does not start, and the message names the setting.
"""


def texts() -> dict[Path, str]:
    """Return the text of each page, by its path within the project."""
    return {
        RULES: _RULES + rules_table_markdown().strip() + "\n",
        SETTINGS: settings_markdown(),
        **signal_table.texts(),
    }


def settings_markdown() -> str:
    """Return every setting with its default and its meaning."""
    parts = [_SETTINGS]
    for title, model in (
        ("`trading up` and `trading serve`", Settings),
        ("`trading serve` alone", LinkSettings),
    ):
        parts.append(f"## {title}\n\n| setting | default | meaning |\n|---|---|---|")
        for name, field in model.model_fields.items():
            default = "" if field.default in (None, "") else f"`{field.default}`"
            parts.append(f"| `{name.upper()}` | {default} | {field.description} |")
        parts.append("")
    return "\n".join(parts)
