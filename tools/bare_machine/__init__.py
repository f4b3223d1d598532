"""Deployments on a machine that reaches no image registry: you need none of this elsewhere.

Where Docker Hub and the other registries answer, `make images` and `make e2e` pull what they need
and nothing in this package runs. Where they do not, it provides the closest real thing: a Docker
engine from Debian's packages (`engine`), stand-ins for official images from Debian's packages and
from Go modules (`stand_ins`, `go_stand_ins`), and a kind node whose Kubernetes is built from its
Go modules (`kind_node`, `kind_programs`). What is built is cached outside the checkout, keyed by
version.
"""
