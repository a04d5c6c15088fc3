"""What a soak over ROS found: requests by how they ended, the camera's share, and the node's memory over time."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.table import Table

from spatial_mllm_ros.bench.machine import slope_per_minute
from spatial_mllm_ros.ros.soak_clients import Outcome

__all__ = ["Sample", "SoakReport", "make_report", "print_report"]

LEAST_RECEIVED = 0.95
_DOORS = ("service", "action")

Sample = tuple[float, int, int]
"""Seconds since the start, bytes resident of the node, bytes that its embedding caches say they hold of these."""


@dataclass(frozen=True, kw_only=True)
class SoakReport:
    """What happened.

    Attributes:
        statuses: number of requests that ended, by door ("service", "action") and status.
        never_ended: number that did not, by what was waited for.
        disagreeing: number of actions whose own status does not fit their answer's, by what is wrong.
        latest_end_s: the latest end after a deadline, as a client saw it, s.
        first_token_s: (median, 95th percentile) of OK answers, s; NaN without any.
        played, received: colour frames that the player published and the node received.
        memory: samples over time.
        warm_up_s: when memory is looked at from.
    """

    statuses: dict[str, Counter[str]]
    never_ended: Counter[str]
    disagreeing: Counter[str]
    latest_end_s: float
    first_token_s: tuple[float, float]
    played: int
    received: int
    memory: list[Sample]
    warm_up_s: float

    @property
    def warm_memory(self) -> list[Sample]:
        """The samples after the warm-up."""
        return [sample for sample in self.memory if sample[0] >= self.warm_up_s]

    @property
    def growth_bytes_per_minute(self) -> float:
        """Slope of the node's memory after the warm-up."""
        return slope_per_minute([(second, resident) for second, resident, _ in self.warm_memory])

    @property
    def is_well(self) -> bool:
        """True if every request ended, consistently, and the camera arrived."""
        return not self.never_ended and not self.disagreeing and self.received >= LEAST_RECEIVED * self.played


def make_report(
    outcomes: list[Outcome], played: int, received: int, samples: list[Sample], warm_up_s: float
) -> SoakReport:
    """Sum up what happened; see `SoakReport`."""
    ended = [outcome for outcome in outcomes if outcome.has_ended]
    first = [outcome.first_token_s for outcome in ended if not math.isnan(outcome.first_token_s)]
    return SoakReport(
        statuses={door: Counter(outcome.status for outcome in ended if outcome.door == door) for door in _DOORS},
        never_ended=Counter(f"{one.door}: {one.status}" for one in outcomes if not one.has_ended),
        disagreeing=Counter(outcome.disagreement for outcome in ended if outcome.disagreement),
        latest_end_s=max((outcome.late_s for outcome in ended), default=math.nan),
        first_token_s=(float(np.median(first)), float(np.percentile(first, 95))) if first else (math.nan, math.nan),
        played=played,
        received=received,
        memory=samples,
        warm_up_s=warm_up_s,
    )


def print_report(report: SoakReport, about: str) -> None:
    """Print a report for people, under a line that says what it is about."""
    console = Console()
    table = Table("requests", *_DOORS, box=None)
    for status in sorted(set().union(*report.statuses.values())):
        table.add_row(status, *(str(report.statuses[door][status]) for door in _DOORS))
    table.add_row("together", *(str(sum(report.statuses[door].values())) for door in _DOORS))
    console.print(about)
    console.print(table)
    lost, wrong = (
        ", ".join(f"{count} {what}" for what, count in counts.items()) or "0"
        for counts in (report.never_ended, report.disagreeing)
    )
    console.print(f"never ended: {lost}; action and answer disagree: {wrong}")
    median_ms, high_ms = (1e3 * seconds for seconds in report.first_token_s)
    console.print(f"latest end: {report.latest_end_s:.2f} s after the deadline, as the client saw it")
    console.print(f"first token: median {median_ms:.0f} ms, 95 % below {high_ms:.0f} ms, time in line included")
    share = report.received / report.played
    console.print(f"colour frames: {report.played} played, {report.received} received ({share:.1%})")
    if report.warm_memory:
        console.print(_memory_sentence(report))


def _memory_sentence(report: SoakReport) -> str:
    resident = [size / 2**20 for _, size, _ in report.warm_memory]
    cached = [size / 2**20 for _, _, size in report.warm_memory]
    return (
        f"node's memory after {report.warm_up_s:.0f} s: {min(resident):.1f} to {max(resident):.1f} MiB resident, slope "
        f"{report.growth_bytes_per_minute / 2**20:+.2f} MiB per minute; caches of embeddings, within their bound, went "
        f"from {cached[0]:.1f} to {cached[-1]:.1f} MiB of these"
    )
