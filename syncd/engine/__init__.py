"""The use cases: push, pull, watch. Knows stores and the bus by their protocols only, and no HTTP."""
