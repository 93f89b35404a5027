"""`python -m swarmsim` is `swarmsim`."""

import sys

from .cli import main

sys.exit(main())
