"""Recorded prices over the network: uploaded, listed, deleted, and replayed by a real ecosystem."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.api.running import Up, wait_for
from trading.api.test_coordinator import recordings
from trading.api.test_coordinator.recordings import MAX_BYTES, NotStored, UploadedRecordings
from trading.api.test_coordinator.scenarios import Scenarios
from trading.embedded.api import load_submitted
from trading.hosting.sqlite import SqliteStore
from trading.scenario.plan import plan_digest

pytestmark = pytest.mark.timeout(300)

START = 1_767_571_200
#: An hour of minutes in which USDC loses its peg.
PRICES = "time,symbol,price\n" + "".join(
    f"{START + 60 * minute},USDC,{1 - max(0, min(minute - 20, 20)) / 200}\n" for minute in range(61)
)


def scenario(name: str, **replay: str) -> dict[str, Any]:
    """Return a scenario whose market is recorded, and whose fault changes no price."""
    return {
        "apiVersion": "chaos.trading/v1alpha1",
        "kind": "ChaosScenario",
        "metadata": {"name": name},
        "spec": {
            "market": {"source": "replay", "tick": "60s", "replay": replay},
            "steadyState": {"for": "2m", "within": "10m"},
            "faults": [
                {"name": "reset", "duration": "5m", "exchangeOutage": {"mode": "reset"}},
            ],
            "expect": [{"noAlert": "settlement-overdue"}],
            "recovery": {"within": "30m"},
        },
    }


@pytest.fixture
def client(up: Up) -> Iterator[httpx.Client]:
    with up.coordinator() as coordinator:
        yield coordinator
        for stored in coordinator.get("/recordings").json():
            coordinator.delete(f"/recordings/{stored['name']}")


def command(up: Up, *words: str) -> subprocess.CompletedProcess[str]:
    """Run ``trading scenario run`` against the ecosystem, as its user does."""
    target = ["--target", up.url["test-coordinator"], "--data", str(up.data)]
    return subprocess.run(
        [sys.executable, "-m", "trading.cli", "scenario", "run", *words, *target],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )


def verdict_of(client: httpx.Client, run_id: str) -> dict[str, Any]:
    """Wait for the verdict of a run, and return it."""
    run: dict[str, Any] = {}

    def judged() -> bool:
        run.update(client.get(f"/runs/{run_id}").json())
        return run["verdict"] is not None

    wait_for("the verdict", judged, 120)
    verdict: dict[str, Any] = run["verdict"]
    return verdict


def test_a_recording_is_stored_listed_and_deleted(client: httpx.Client) -> None:
    content = PRICES.encode()
    stored = client.put("/recordings/usdc-2023", content=content)
    assert stored.status_code == 201, stored.text
    expected = {
        "name": "usdc-2023",
        "bytes": len(content),
        "sha256": sha256(content).hexdigest(),
        "stored": stored.json()["stored"],
    }
    assert stored.json() == expected
    assert client.get("/recordings").json() == [expected]
    replaced = client.put("/recordings/usdc-2023", content=b"time,price\n1,1\n").json()
    assert client.get("/recordings").json() == [replaced] != [expected]
    assert client.delete("/recordings/usdc-2023").status_code == 204
    assert client.delete("/recordings/usdc-2023").status_code == 404
    assert client.get("/recordings").json() == []


def test_storing_and_deleting_need_the_token(up: Up, client: httpx.Client) -> None:
    url = up.url["test-coordinator"] + "/recordings/usdc"
    for content in (PRICES.encode(), PRICES.encode().ljust(MAX_BYTES, b"\n")):
        assert httpx.put(url, content=content).status_code == 401
    assert client.put("/recordings/usdc", content=PRICES).is_success
    assert httpx.delete(url).status_code == 401
    assert [stored["name"] for stored in client.get("/recordings").json()] == ["usdc"]


@pytest.mark.parametrize("name", ["A", "a_b", "x" * 64, "..", "%2e%2e%2fx", ".hidden", "a.csv"])
def test_a_name_is_lower_case_letters_digits_and_hyphens(client: httpx.Client, name: str) -> None:
    assert client.put(f"/recordings/{name}", content=PRICES).status_code in (404, 405, 422)
    assert client.get("/recordings").json() == []


def test_what_is_no_text_is_refused(client: httpx.Client) -> None:
    for content in (b"", b"\n \n", b"\xff\xfe\x00", b"PK\x03\x04\x99"):
        refused = client.put("/recordings/usdc", content=content)
        assert refused.status_code == 422, refused.text
    assert client.get("/recordings").json() == []


def test_the_size_is_limited(client: httpx.Client) -> None:
    """Other requests have a smaller limit."""
    largest = PRICES.encode().ljust(MAX_BYTES, b"\n")
    assert client.put("/recordings/largest", content=largest).status_code == 201
    refused = client.put("/recordings/larger", content=largest + b"\n")
    assert refused.status_code == 413 and str(MAX_BYTES) in refused.text
    assert client.post("/runs", content=largest).status_code == 413
    assert [stored["bytes"] for stored in client.get("/recordings").json()] == [MAX_BYTES]


def test_the_number_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "MAX_RECORDINGS", 2)

    async def check() -> None:
        store = SqliteStore(tmp_path / "kept.sqlite")
        changes: list[int] = []
        try:
            uploads = UploadedRecordings(store, lambda: changes.append(1))
            for name in ("first", "second", "first"):
                await uploads.save(name, PRICES.encode())
            with pytest.raises(NotStored, match="2 recordings are stored already; delete one"):
                await uploads.save("third", PRICES.encode())
            assert await uploads.remove("first")
            await uploads.save("third", b"\xef\xbb\xbf" + PRICES.encode())
            assert [s.name for s in await uploads.list_all()] == ["second", "third"]
            assert (uploads.text_of("third"), uploads.text_of("first")) == (PRICES, None)
            assert len(changes) == 5
        finally:
            store.close()

    asyncio.run(check())


def test_a_recording_that_was_not_stored_completely_is_none(tmp_path: Path) -> None:
    """The process may end between the content and its description."""
    store = SqliteStore(tmp_path / "kept.sqlite")
    try:
        uploads = UploadedRecordings(store, lambda: None)
        asyncio.run(uploads.save("usdc", PRICES.encode()))
        store.put("recording-content", "usdc", b"another content")
        assert uploads.text_of("usdc") is None
        asyncio.run(uploads.save("usdc", PRICES.encode()))
        assert uploads.text_of("usdc") == PRICES
    finally:
        store.close()


def test_a_saved_scenario_is_listed_as_its_recording_comes_and_goes(tmp_path: Path) -> None:
    async def check() -> None:
        store = SqliteStore(tmp_path / "kept.sqlite")
        try:
            library: Scenarios
            uploads = UploadedRecordings(store, lambda: library.forget_compiled())
            library = Scenarios(store, uploads.text_of)
            await uploads.save("usdc", PRICES.encode())
            await library.save(json.dumps(scenario("recorded", recording="usdc")))
            assert "problem" not in (await library.list_all())[-1]
            await uploads.remove("usdc")
            assert "no recording 'usdc' was uploaded" in (await library.list_all())[-1]["problem"]
        finally:
            store.close()

    asyncio.run(check())


def test_a_run_replays_an_upload_and_keeps_its_prices(up: Up, client: httpx.Client) -> None:
    """Its verdict has the plan of the same prices in the text; the upload may go meanwhile."""
    client.put("/recordings/usdc", content=PRICES)
    text = json.dumps(scenario("recorded", recording="usdc"))
    begun = client.post("/runs", json={"text": text})
    assert begun.status_code == 202, begun.text
    assert client.delete("/recordings/usdc").status_code == 204
    verdict = verdict_of(client, begun.json()["id"])
    assert verdict["outcome"] == "Pass", verdict["reasons"]
    inlined = load_submitted(json.dumps(scenario("recorded", data=PRICES))).plan
    assert verdict["setup"]["plan_digest"] == plan_digest(inlined)
    assert verdict["started_at"] == START * 1_000_000
    refused = client.post("/runs", json={"text": text})
    assert refused.status_code == 422 and "no recording 'usdc' was uploaded" in refused.text


def test_a_run_replays_what_its_text_has(client: httpx.Client) -> None:
    begun = client.post("/runs", json={"text": json.dumps(scenario("inlined", data=PRICES))})
    assert begun.status_code == 202, begun.text
    verdict = verdict_of(client, begun.json()["id"])
    assert verdict["outcome"] == "Pass", verdict["reasons"]


def test_the_command_sends_the_file_along(up: Up, client: httpx.Client, tmp_path: Path) -> None:
    """The scenario is the one that trading run takes; nothing of the file stays behind."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "Prices 2023.csv").write_text(PRICES, "utf-8")
    file = tmp_path / "sent.yaml"
    file.write_text(yaml.safe_dump(scenario("sent", file="data/Prices 2023.csv")), "utf-8")
    result = command(up, str(file))
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Pass" in result.stdout
    assert client.get("/recordings").json() == []
    embedded = subprocess.run(
        [sys.executable, "-m", "trading.cli", "run", str(file), "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    runs = [run for run in client.get("/runs").json() if run["scenario"] == "sent"]
    verdict = client.get(f"/runs/{runs[0]['id']}").json()["verdict"]
    expected = json.loads(embedded.stdout)
    assert verdict["setup"]["plan_digest"] == expected["setup"]["plan_digest"]


def test_the_command_says_what_is_wrong_with_the_file(
    up: Up, client: httpx.Client, tmp_path: Path
) -> None:
    file = tmp_path / "sent.yaml"
    file.write_text(yaml.safe_dump(scenario("sent", file="prices.csv")), "utf-8")
    missing = command(up, str(file))
    assert missing.returncode == 2 and "prices.csv: No such file" in missing.stderr
    (tmp_path / "prices.csv").write_text(PRICES + "x,USDC,1\n", "utf-8")
    wrong = command(up, str(file))
    assert wrong.returncode == 2, wrong.stdout
    assert "prices.csv:63: expected a time such as" in wrong.stderr
    (tmp_path / "prices.csv").write_bytes(PRICES.encode().ljust(MAX_BYTES + 1, b"\n"))
    large = command(up, str(file))
    assert large.returncode == 2 and f"larger than {MAX_BYTES} bytes" in large.stderr
    (tmp_path / "more.csv").write_text(PRICES, "utf-8")
    changed = command(up, str(file), "--set", "market.replay.file=more.csv", "--detach")
    assert changed.returncode == 0, changed.stderr
    verdict = verdict_of(client, changed.stdout.split()[-1])
    assert verdict["setup"]["overrides"] == {"market.replay.file": "more.csv"}
    assert client.get("/recordings").json() == []


def test_files_belong_to_a_text(client: httpx.Client) -> None:
    refused = client.post("/runs", json={"scenario": "market-crash", "files": {"a.csv": "a"}})
    assert refused.status_code == 422 and "'files' belongs to 'text'" in refused.text
