"""Record responses of a real ecosystem after a real run, as the examples of the API pages.

    python -m tools.examples

Times and ids differ from run to run, so this is not part of `make generate`. The examples of the
exchange, the custodian and the risk monitor are in their code.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx

from tests.api.running import Up, wait_for
from trading.hosting.docs import EXAMPLES
from trading.topology import (
    AUDIT_CORRELATOR,
    MARKET_DATA,
    TEST_COORDINATOR,
    TRADING_ENGINE,
)

#: Number of items to which lists in examples are cut.
_ITEMS = 2


def main() -> None:
    """Run an ecosystem and write its responses, a file for each service."""
    with tempfile.TemporaryDirectory() as directory:
        up = Up(Path(directory) / "data")
        try:
            examples = _collect(up)
        finally:
            up.stop()
    for service, answers in examples.items():
        path = EXAMPLES / f"{service}.json"
        path.write_text(json.dumps(answers, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"{path}: {len(answers)} examples")


def _collect(up: Up) -> dict[str, dict[str, Any]]:
    """Return the responses of every service, by service and operation."""
    examples: dict[str, dict[str, Any]] = {}
    with up.coordinator() as coordinator:
        begun = coordinator.post("/runs", json={"scenario": "market-crash", "overrides": {}})
        run = f"/runs/{begun.json()['id']}"
        wait_for("the verdict", lambda: coordinator.get(run).json().get("outcome"), 200)
        coordinator_examples = examples[TEST_COORDINATOR] = {
            "post /runs": _trimmed(begun.json()),
            "get /runs/{run_id}/events": _events(up.url[TEST_COORDINATOR] + run + "/events"),
        }
        for path in ("/scenarios", "/runs"):
            coordinator_examples[f"get {path}"] = _trimmed(coordinator.get(path).json())
        coordinator_examples["get /runs/{run_id}"] = _trimmed(coordinator.get(run).json())
        text = Path("scenarios/market-crash.yaml").read_text(encoding="utf-8")
        submission = {"text": text.replace("name: market-crash", "name: my-crash")}
        coordinator_examples["post /scenarios"] = _trimmed(
            coordinator.post("/scenarios", json=submission).json()
        )
        _collect_others(up, examples)
        content = "time,price\n2026-01-05T00:00:00Z,1\n2026-01-05T00:01:00Z,0.95\n"
        stored = coordinator.put("/recordings/usdc-slips", content=content)
        coordinator_examples["put /recordings/{name}"] = stored.json()
        coordinator_examples["get /recordings"] = coordinator.get("/recordings").json()
        second_run = coordinator.post(
            "/runs", json={"scenario": "market-crash", "overrides": {}}
        ).json()
        aborted = coordinator.post(
            f"/runs/{second_run['id']}/abort", json={"reason": "enough seen"}
        )
        coordinator_examples["post /runs/{run_id}/abort"] = _trimmed(aborted.json())
    return examples


def _collect_others(up: Up, examples: dict[str, dict[str, Any]]) -> None:
    """Add the responses of the market data service, the trading engine and the audit correlator."""
    feed, engine, audit = (up.url[s] for s in (MARKET_DATA, TRADING_ENGINE, AUDIT_CORRELATOR))
    price = "/api/v3/simple/price"
    examples[MARKET_DATA] = {
        f"get {price}": _get(f"{feed}{price}?ids=bitcoin,ethereum"),
        "get /api/v1/assets": _get(f"{feed}/api/v1/assets"),
        "get /api/v1/ticks": _get(f"{feed}/api/v1/ticks?asset=BTC"),
        "get /api/v1/stream": _events(f"{feed}/api/v1/stream"),
    }
    examples[TRADING_ENGINE] = {"get /api/v1/strategies": _get(f"{engine}/api/v1/strategies")}
    audit_examples = examples[AUDIT_CORRELATOR] = {
        f"get /api/v1/{name}": _get(f"{audit}/api/v1/{name}")
        for name in ("chains", "findings", "correlations", "report", "timeline")
    }
    entry = _json_of(httpx.get(f"{audit}/api/v1/timeline"))["phases"][0]
    where = f"{entry['source']}/{entry['seq']}"
    audit_examples["get /api/v1/evidence/{source}/{seq}"] = _get(f"{audit}/api/v1/evidence/{where}")
    audit_examples["get /api/v1/ledger"] = (
        httpx.get(f"{audit}/api/v1/ledger").text.splitlines()[0] + "\n"
    )
    audit_examples["get /events"] = _events(f"{audit}/events")


def _get(url: str) -> Any:
    return _trimmed(_json_of(httpx.get(url, timeout=30)))


def _json_of(answer: httpx.Response) -> Any:
    """Return the response's JSON; exit if the request failed."""
    if not answer.is_success:
        sys.exit(f"{answer.request.method} {answer.request.url}: {answer.text}")
    return answer.json()


def _events(url: str) -> str:
    """Return the first event of a stream, with long lines shortened."""
    lines: list[str] = []
    with httpx.stream("GET", url, timeout=30) as answer:
        for line in answer.iter_lines():
            if not line and any(earlier.startswith("data:") for earlier in lines):
                break
            lines.append(line if len(line) < 200 else f"{line[:200]}...")
    return "\n".join(lines).lstrip() + "\n\n"


def _trimmed(answer: Any) -> Any:
    """Return the response with lists shortened to a few items."""
    if isinstance(answer, dict):
        return {name: _trimmed(value) for name, value in list(answer.items())}
    if isinstance(answer, list):
        return [_trimmed(value) for value in answer[:_ITEMS]]
    return answer


if __name__ == "__main__":
    main()
