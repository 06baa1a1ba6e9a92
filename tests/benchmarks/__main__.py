"""`python -m tests.benchmarks`: the budget's scenarios beside their yardsticks, curves, and others."""

from tests.benchmarks.command import main

main()
