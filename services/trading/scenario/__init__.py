"""Scenarios and verdicts: the ChaosScenario resource that people write, the RunPlan to which it is
compiled, and the verdict on a run.

Everything here is a pure function of its input; :mod:`trading.scenario.load` alone reads files.
"""
