"""`python -m tinyconv`: the same as the command `tinyconv`."""

import sys

from .cli import main

sys.exit(main())
