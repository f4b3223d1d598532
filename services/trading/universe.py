"""What is traded, and by whom: assets, symbols, and accounts with their opening balances."""

import msgspec

from trading.units import SCALE, parse_units

#: Accounts of the exchange's synthetic participants; all others belong to the firm.
MAKER_ACCOUNT = "synthetic-maker"
NOISE_ACCOUNT = "synthetic-noise"

#: The strategy of accounts that only clients of the API trade on.
MANUAL = "manual"


class Asset(msgspec.Struct, frozen=True, gc=False):
    """An asset that is traded.

    ``price`` is the opening price in 1e-8 USD. ``volatility_ppm`` is the standard deviation of a
    year's log return; for stablecoins, of the distance to the peg. ``peg`` is the USD price (1e-8)
    that a stablecoin returns to, 0 for other assets.
    """

    name: str
    price: int
    volatility_ppm: int
    peg: int = 0

    @property
    def stable(self) -> bool:
        """Return whether the asset is a stablecoin."""
        return self.peg > 0


class Instrument(msgspec.Struct, frozen=True, gc=False):
    """A spot symbol: ``base`` is traded for ``quote``.

    ``tick`` is the price increment, ``lot`` the quantity increment, and ``min_notional`` the least
    notional of an order, in 1e-8. ``tick`` times ``lot`` is a whole number of 1e-8 quote units, so
    that every notional is exact; raises ValueError otherwise.
    """

    symbol: str
    base: str
    quote: str
    tick: int
    lot: int
    min_notional: int

    def __post_init__(self) -> None:
        if self.tick * self.lot % SCALE:
            raise ValueError(f"{self.symbol}: tick x lot is no whole number of 1e-8 quote units")


class FirmAccount(msgspec.Struct, frozen=True, gc=False):
    """An account of the firm and the strategy that trades on it.

    ``strategy`` is market-making, momentum, mean-reversion, index-rebalancing, or manual if only
    clients of the API trade there. ``balances`` are the opening balances in 1e-8.
    """

    name: str
    strategy: str
    symbols: tuple[str, ...]
    balances: tuple[tuple[str, int], ...]


class Universe(msgspec.Struct, frozen=True, gc=False):
    """The assets, symbols and accounts of one run."""

    assets: tuple[Asset, ...]
    instruments: tuple[Instrument, ...]
    accounts: tuple[FirmAccount, ...]

    def asset(self, name: str) -> Asset:
        """Return the asset called ``name``. Raises StopIteration if there is none."""
        return next(a for a in self.assets if a.name == name)

    def instrument(self, symbol: str) -> Instrument:
        """Return the instrument of ``symbol``. Raises StopIteration if there is none."""
        return next(i for i in self.instruments if i.symbol == symbol)

    @property
    def firm_accounts(self) -> tuple[str, ...]:
        """Return the names of the firm's accounts."""
        return tuple(a.name for a in self.accounts)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Return all symbols."""
        return tuple(i.symbol for i in self.instruments)

    def with_prices(self, prices: dict[str, int]) -> "Universe":
        """Return the same universe with other opening prices (1e-8 USD) for some assets.

        Raises KeyError for an unknown asset.
        """
        unknown = set(prices) - {a.name for a in self.assets}
        if unknown:
            raise KeyError(", ".join(sorted(unknown)))
        assets = tuple(
            msgspec.structs.replace(a, price=prices.get(a.name, a.price)) for a in self.assets
        )
        return msgspec.structs.replace(self, assets=assets)


def _asset(name: str, price: str, volatility_ppm: int, peg: str = "0") -> Asset:
    return Asset(name, parse_units(price), volatility_ppm, parse_units(peg))


def _instrument(base: str, tick: str, lot: str) -> Instrument:
    return Instrument(
        base + "USDT", base, "USDT", parse_units(tick), parse_units(lot), parse_units("5")
    )


def _account(name: str, strategy: str, symbols: tuple[str, ...], **balances: str) -> FirmAccount:
    return FirmAccount(
        name, strategy, symbols, tuple((a, parse_units(v)) for a, v in balances.items())
    )


def default_universe() -> Universe:
    """Return the universe of the shipped scenarios.

    It has three coins and two stablecoins that are traded against USDT, four strategies, and about
    10 M USD of the firm's money. Half of that is in coins, so that a crash causes losses.
    """
    coins = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
    return Universe(
        assets=(
            _asset("BTC", "65000", 550_000),
            _asset("ETH", "3500", 700_000),
            _asset("SOL", "150", 900_000),
            _asset("USDT", "1", 500, peg="1"),
            _asset("USDC", "1", 500, peg="1"),
            _asset("USDE", "1", 800, peg="1"),
        ),
        instruments=(
            _instrument("BTC", "0.01", "0.00001"),
            _instrument("ETH", "0.01", "0.0001"),
            _instrument("SOL", "0.01", "0.001"),
            _instrument("USDC", "0.0001", "1"),
            _instrument("USDE", "0.0001", "1"),
        ),
        accounts=(
            _account(
                "firm-mm", "market-making", coins, USDT="1500000", BTC="8", ETH="150", SOL="2500"
            ),
            _account("firm-momentum", "momentum", coins, USDT="1000000", BTC="4", ETH="60"),
            _account(
                "firm-meanrev",
                "mean-reversion",
                ("BTCUSDT", "USDCUSDT", "USDEUSDT"),
                USDT="800000",
                USDC="400000",
                USDE="200000",
                BTC="3",
            ),
            _account(
                "firm-index",
                "index-rebalancing",
                coins,
                USDT="800000",
                BTC="30",
                ETH="450",
                SOL="6000",
            ),
            _account("firm-api", MANUAL, coins, USDT="100000", BTC="1"),
        ),
    )
