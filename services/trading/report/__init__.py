"""The reports on a run for people and CI systems, made from its verdict and its record.

The modules here are independent of the runtime that has executed the run.
"""
