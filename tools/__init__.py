"""Tools for developers: the generators behind `make generate`, and what builds images and a
cluster.
"""
