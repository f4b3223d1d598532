"""What the outside calls our assets."""

#: CoinGecko's id -> asset. CoinMarketCap's slugs are the same words.
COINGECKO_IDS = {
    "bitcoin": "BTC",
    "ethereum": "ETH",
    "solana": "SOL",
    "tether": "USDT",
    "usd-coin": "USDC",
    "ethena-usde": "USDE",
}
IDS = {asset: name for name, asset in COINGECKO_IDS.items()}
