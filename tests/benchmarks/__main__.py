"""`python -m tests.benchmarks`: the budget's scenarios beside their yardsticks, curves, and older benchmarks."""

from tests.benchmarks.command import main

main()
