"""Operate a deployment of the services, on Docker Compose or on Kubernetes.

`state.Platform` is the interface of both: `on_compose` and `on_kubernetes` implement it by running
docker, helm and kubectl (`commands`). `rollout` starts a deployment and waits until it is healthy.
`secrets` and `certificates` create its credentials. `partitions` and `network_faults` disconnect
containers during a chaos run.
"""
