"""The market data service's public API: prices in the format of CoinGecko, and a feed of ticks with
sequence numbers.
"""
