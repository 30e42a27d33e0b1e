"""python -m asmlp: the console script."""

import sys

from ._command import main

sys.exit(main())
