"""Stage five: sessions, heartbeats, assignments, reports (SwarmKit manager/dispatcher). Read `dispatcher` first."""

from .dispatcher import Dispatcher

__all__ = ["Dispatcher"]
