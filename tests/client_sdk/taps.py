"""An app with a rule that does not forgive: every tap counts, so one that is applied twice, or not at all, shows."""

from __future__ import annotations

from syncd.app import App, Resource, rules

__all__ = ["Counter", "taps"]

taps = App("taps")


@taps.resource(scope="main", rule=rules.counter)
class Counter(Resource):
    """Counts taps."""

    count: int
