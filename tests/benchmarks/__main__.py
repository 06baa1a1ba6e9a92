"""`python -m tests.benchmarks`: the budget's scenarios beside their yardsticks, curves, and others."""

import signal
import sys

from tests.benchmarks.command import main

# so that a run that is ended also ends what it has started
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
main()
