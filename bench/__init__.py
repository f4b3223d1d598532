"""Benchmarks of the ecosystem; `make bench` and `python -m bench` run them."""
