"""Ratios are of one round each, and say how we stand to what is wanted."""

from __future__ import annotations

import pytest

from benchmarks.harness.ratios import Standing, ratio_of
from benchmarks.harness.sample import Sample, median, spread
from benchmarks.harness.workload import Goal


def rates(*values: float, driver_cpu_s: float = 0.1) -> list[Sample]:
    return [Sample(value, 1.0, 0.5, driver_cpu_s) for value in values]


def test_figures_of_one_round_are_divided_and_the_median_counts() -> None:
    """The machine was half as fast in the second round: that is in both figures, and not in the ratio."""
    ratio = ratio_of(Goal("one", "peer", 2), {"one": {"syncd": rates(300, 150, 330), "peer": rates(100, 50, 100)}})

    assert (ratio.value, ratio.low, ratio.high) == (3.0, 3.0, 3.3)
    assert ratio.standing is Standing.AIM


@pytest.mark.parametrize(
    ("minimum", "aim", "less_is_better", "standing"),
    [
        (0.6, None, False, Standing.AIM),
        (0.6, 1.2, False, Standing.MINIMUM),
        (0.6, 0.8, False, Standing.AIM),
        (0.9, 1.2, False, Standing.MISSED),
        (None, 1.2, False, Standing.BELOW),
        (None, 0.5, False, Standing.AIM),
        (1.0, 0.8, True, Standing.AIM),
        (1.0, 0.5, True, Standing.MINIMUM),
        (0.7, None, True, Standing.MISSED),
    ],
)
def test_a_ratio_of_080_stands(
    minimum: float | None, aim: float | None, less_is_better: bool, standing: Standing
) -> None:
    goal = Goal("one", "peer", minimum, aim, less_is_better=less_is_better)

    assert ratio_of(goal, {"one": {"syncd": rates(80), "peer": rates(100)}}).standing is standing


def test_what_was_not_measured_is_no_ratio() -> None:
    for samples in ({}, {"one": {"syncd": rates(1)}}, {"one": {"syncd": rates(1), "peer": []}}):
        ratio = ratio_of(Goal("one", "peer", 2), samples)
        assert (ratio.value, ratio.standing) == (None, Standing.UNMEASURED)


def test_one_case_can_be_compared_with_another() -> None:
    goal = Goal("large", "syncd", 1.15, figure="cpu_us", less_is_better=True, against_case="small")
    samples = {"large": {"syncd": rates(1000)}, "small": {"syncd": rates(2000)}}

    assert ratio_of(goal, samples).value == 2.0


def test_a_busy_driver_is_told_since_the_server_might_have_done_more() -> None:
    busy = {"one": {"syncd": rates(100, driver_cpu_s=0.95), "peer": rates(100, driver_cpu_s=0.99)}}

    assert ratio_of(Goal("one", "peer", 1), busy).bound == "the driver limited syncd, the driver limited peer"


def test_figures_of_a_sample() -> None:
    sample = Sample(500, 2.0, 0.1, 0.4, {"p99_ms": 7.5})

    assert [sample.figure(name) for name in ("rate", "cpu_us", "seconds", "p99_ms", "no such")] == [
        250.0,
        pytest.approx(200.0),
        2.0,
        7.5,
        None,
    ]
    assert sample.driver_share == 0.2
    assert median(rates(3, 1, 2), "rate") == 2
    assert spread(rates(3, 1, 2), "rate") == (1, 3)
