"""A deterministic simulator of Docker Swarm's control plane."""

__version__ = "0.1.0"
