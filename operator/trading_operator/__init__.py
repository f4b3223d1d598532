"""The Kubernetes operator. It starts a run at the test coordinator for each ChaosScenario resource,
turns the network faults of the run into NetworkPolicies, and writes the verdict into the status.

There is no ``__init__.py`` beside this package: a module ``operator`` would hide Python's own.
"""
