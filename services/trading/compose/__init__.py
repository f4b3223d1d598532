"""Generate `docker-compose.yml` from the rendered Helm chart.

The chart is the only source of every deployment. `manifests` and `pods` define the supported subset
of Kubernetes; anything else is an error. `translate` converts a workload to a Compose service,
`networks` derives the networks from NetworkPolicies, `document` assembles the file and `write`
produces its text.

`edge` runs in a container of the deployment and publishes the fixed ports; `admission` limits its
connections.
"""
