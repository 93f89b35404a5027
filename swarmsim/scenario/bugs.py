"""A bug of ours, said in one line. Imports nothing of ours: it must work when nothing else does."""

from __future__ import annotations

import traceback
from pathlib import Path


def bug_said(error: BaseException) -> str:
    """What escaped, and the last of our lines that it came through."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "swarmsim" in f.filename]
    where = f" at {'/'.join(Path(frames[-1].filename).parts[-3:])}:{frames[-1].lineno}" if frames else ""
    text = str(error).split("\n")[0]
    return f"{type(error).__name__}{f': {text}' if text else ''}{where}"
