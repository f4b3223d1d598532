"""Deployments by Compose and Kubernetes: their secrets, their state, their logs."""
