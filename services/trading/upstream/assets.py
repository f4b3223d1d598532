"""The names of our assets in public price APIs."""

#: CoinGecko's id to asset. CoinMarketCap uses the same words as slugs.
ASSETS_BY_ID = {
    "bitcoin": "BTC",
    "ethereum": "ETH",
    "solana": "SOL",
    "tether": "USDT",
    "usd-coin": "USDC",
    "ethena-usde": "USDE",
}
#: Asset to CoinGecko's id.
IDS_BY_ASSET = {asset: name for name, asset in ASSETS_BY_ID.items()}
