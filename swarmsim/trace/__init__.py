"""Words: what happened. One catalogue of events (`events`), one recorder (`recorder`).

Everything that judges, draws or explains a run reads only this: checks, plots, reports, exports. The same file and
seed give the same bytes in every process and under every PYTHONHASHSEED.
"""

from .recorder import Recorded, Trace, first_difference

__all__ = ["Recorded", "Trace", "first_difference"]
