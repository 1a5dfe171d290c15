"""The workloads, in the order in which they are run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from benchmarks.harness.workload import Workload
from benchmarks.workloads.w1_push import Push
from benchmarks.workloads.w2_fan_out import FanOut
from benchmarks.workloads.w3_catch_up import ResourcesCatchUp
from benchmarks.workloads.w3_document import DocumentCatchUp
from benchmarks.workloads.w4_idle import Idle
from benchmarks.workloads.w5_trace import Trace
from benchmarks.workloads.w6_sdk import Device
from benchmarks.workloads.w7_growth import Growth

__all__ = ["WORKLOADS"]

WORKLOADS: Final[Sequence[Workload]] = (
    Push(),
    FanOut(),
    ResourcesCatchUp(),
    DocumentCatchUp(),
    Idle(),
    Trace(),
    Device(),
    Growth(),
)
