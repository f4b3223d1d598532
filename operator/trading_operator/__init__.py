"""The Kubernetes operator: a ChaosScenario resource becomes a run at the test coordinator, its
network faults become NetworkPolicies, and its status tells the verdict.

No ``__init__.py`` beside this package: a module ``operator`` would hide Python's own.
"""
