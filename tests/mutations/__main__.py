"""`python -m tests.mutations [NAME ...]`: break each rule in each of its ways, and print who noticed.

Exit 1 if a mutant survives.
"""

from __future__ import annotations

import sys

from tests.mutations.mutants import MUTANTS
from tests.mutations.run import run_all, table

if __name__ == "__main__":
    chosen = [mutant for mutant in MUTANTS if not sys.argv[1:] or mutant.name in sys.argv[1:]]
    verdicts = run_all(chosen)
    print(table(verdicts))
    sys.exit(any(verdict.survived for verdict in verdicts))
