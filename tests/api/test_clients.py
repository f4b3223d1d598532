"""Trades with client libraries that are in common use, unmodified. They are installed in a virtual
environment of their own, since ccxt pins its dependencies.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.api.running import Up
from tests.environments import interpreter
from tests.repository.markdown import ROOT, blocks_of

HERE = Path(__file__).parent / "clients"

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def python() -> str:
    """The interpreter that has the libraries."""
    return interpreter("clients", HERE / "requirements.txt")


def trade(python: str, up: Up, script: str) -> dict[str, Any]:
    credentials = up.credentials
    done = subprocess.run(
        [
            python,
            str(HERE / script),
            up.url["exchange"],
            credentials["api_key"],
            credentials["api_secret"],
        ],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def test_ccxt(up: Up, python: str) -> None:
    result = trade(python, up, "trade_with_ccxt.py")
    rest = result["rest"]
    assert "BTC/USDT" in rest["markets"]
    assert rest["bought"] == ["closed", 0.01]
    assert rest["resting"] == ["open", True, "canceled"]
    assert rest["trades"] == pytest.approx(0.01)
    assert rest["balance"] == pytest.approx(1.01)
    assert rest["book"] >= 5
    assert rest["refused"] == ["InsufficientFunds", "OrderNotFound", "OrderNotFound"]
    assert result["streams"]["best"] > 0
    assert result["streams"]["ticker"] > 0
    assert result["streams"]["watched"] == ["open", 0.01]


def test_the_guide_s_bot(up: Up, python: str, tmp_path: Path) -> None:
    """As docs/guides/own-bot.md has it, but for the port."""
    page = ROOT / "docs/guides/own-bot.md"
    (block,) = [b for b in blocks_of(page) if "import ccxt" in b.body]
    (tmp_path / ".trading").symlink_to(up.data)
    script = block.body.replace("http://127.0.0.1:8080", up.url["exchange"])
    done = subprocess.run(
        [python, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=600
    )
    assert done.stdout == "closed 0.01\n", done.stdout + done.stderr[-3000:]


def test_python_binance(up: Up, python: str) -> None:
    result = trade(python, up, "trade_with_python_binance.py")
    assert result["rest"]["bought"] == "FILLED"
    assert result["rest"]["resting"] == ["NEW", "CANCELED"]
    assert result["rest"]["klines"] is True
    assert result["streams"]["gaps"] == [1, 1]


def test_binance_sdk(up: Up, python: str) -> None:
    result = trade(python, up, "trade_with_binance_sdk.py")
    rest = result["rest"]
    assert rest["bought"] == "FILLED"
    assert rest["resting"] == ["NEW", True, "CANCELED"]
    assert (rest["trades"], rest["balance"]) == (pytest.approx(0.01), pytest.approx(0.01))
    assert {"PRICE_FILTER", "LOT_SIZE", "NOTIONAL", "MAX_NUM_ORDERS"} <= set(rest["filters"])
    assert (rest["klines"], rest["depth"], rest["cancelled"]) == (True, 5, 1)
    assert min(rest["ticker"], rest["price"]) > 0
    assert rest["digits"] == [13, 16]
    assert rest["limits"] == ["10SECOND", "1DAY", "1MINUTE"]
    assert rest["refused"] == [
        [-2010, "Account has insufficient balance for requested action."],
        [-2011, "Unknown order sent."],
        [-2013, "Order does not exist."],
    ]
    assert result["api"] == {
        "placed": "NEW",
        "cancelled": "CANCELED",
        "seen": ["NEW", "CANCELED"],
        "time": True,
    }
    assert result["streams"] == {"gaps": [1, 1], "bar": True}
