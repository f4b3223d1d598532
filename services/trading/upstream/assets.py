"""The names of our assets in public price APIs."""

#: CoinGecko's id to asset. CoinMarketCap uses the same words as slugs.
COINGECKO_IDS = {
    "bitcoin": "BTC",
    "ethereum": "ETH",
    "solana": "SOL",
    "tether": "USDT",
    "usd-coin": "USDC",
    "ethena-usde": "USDE",
}
#: Asset to CoinGecko's id.
IDS = {asset: name for name, asset in COINGECKO_IDS.items()}
