"""``docker-compose.yml`` from the rendered chart: what is deployed is said once.

``manifests``: the subset of Kubernetes that is understood, everything else is an error.
``translate``: that subset in Compose's words. ``networks``: who reaches whom. ``write``: the files.
``edge``: what publishes the fixed ports, in a container of its own; ``admission``: how many
connections it has.
"""
