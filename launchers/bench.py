"""Measure what this machine does, as ratios of one run; `foundation bench` is the same.

python launchers/bench.py --quick
"""

import sys

from launchers.benchmarks.options import main

if __name__ == "__main__":
    sys.exit(main())
