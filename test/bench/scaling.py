# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How many arms a policy server carries, calculated from how long a chunk takes: the table of docs/scaling.md.

Nothing is measured here. Each arm asks when a share `threshold` of its plan is left, so N arms ask N / ((1 - threshold)
of a chunk) times a second, and an answer is late after `threshold` of a chunk. The arms are independent of each other,
so their requests together are taken for a Poisson process, and a chunk takes a constant time: an M/D/1 queue. "arms"
are as many as get every chunk that they ask for, at most one in 100 late. "at most" are as many as never get a late one
if each waits for all others each time: an arm has one request at a time. Then the server never rests, chunks are
seldom, and what the arm has seen is as old as a chunk is long.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

LATE = 0.01  # share of late answers
FLEETS = (10, 100, 1000)  # arms


@dataclass(frozen=True)
class Service:
    """How long a computation takes, by the number of chunks that are computed together (s)."""

    name: str
    source: str
    durations_s: Mapping[int, float]


SERVICES = (
    Service("2 CPU cores, 3.6 M parameters", "measured", {1: 0.043, 2: 0.068, 4: 0.088, 8: 0.136}),
    Service("2 CPU cores, full size, int8", "measured", {1: 1.43}),
    Service("RTX 3090, full size", "published [1]", {1: 0.086}),
    Service("RTX 4090, full size, LeRobot", "published [2]", {1: 0.170}),
    Service("RTX 4090, full size, engine", "published [3]", {1: 0.036}),
)


def mean_wait_s(rate_hz: float, service_s: float) -> float:
    """Pollaczek and Khinchine: the mean wait in an M/D/1 queue; infinite when it is overloaded."""
    load = rate_hz * service_s
    return load * service_s / (2.0 * (1.0 - load)) if load < 1.0 else math.inf


def wait_bound_s(rate_hz: float, service_s: float, probability: float) -> float:
    """Kingman: a wait that is exceeded with at most this probability in an M/D/1 queue; infinite when overloaded.

    P(wait > t) <= exp(-decay t), where decay > 0 solves rate (exp(decay service) - 1) = decay.
    """
    if rate_hz * service_s >= 1.0:
        return math.inf
    if not rate_hz:
        return 0.0
    low, high = 0.0, 1.0 / service_s
    while rate_hz * math.expm1(high * service_s) < high:
        low, high = high, 2.0 * high
    for _ in range(60):
        middle = (low + high) / 2.0
        if middle > 0.0 and rate_hz * math.expm1(middle * service_s) < middle:
            low = middle
        else:
            high = middle
    return math.log(1.0 / probability) / high


def arms_carried(service: Service, chunk_s: float, threshold: float, overhead_s: float) -> int:
    """The most arms that get every chunk that they ask for, at most LATE of them late.

    chunk_s: duration of a chunk; overhead_s: of network and images. `together` requests are taken for one, which comes
    as often as so many do.
    """
    rate_hz = 1.0 / ((1.0 - threshold) * chunk_s)

    def fits(arms: int, together: int, service_s: float) -> bool:
        wait_s = wait_bound_s(arms * rate_hz / together, service_s, LATE)
        if wait_s < math.inf:  # no request waits for more than one of each other arm
            wait_s = min(wait_s, (math.ceil(arms / together) - 1) * service_s)
        return wait_s + service_s + overhead_s <= threshold * chunk_s

    most = 0
    for together, service_s in service.durations_s.items():
        limit = math.ceil(together / (rate_hz * service_s))  # more would overload it
        most = max(most, *(arms for arms in range(limit + 1) if not arms or fits(arms, together, service_s)))
    return most


def arms_at_most(service: Service, chunk_s: float, threshold: float, overhead_s: float) -> int:
    """The most arms that never get a late chunk if each waits for all others each time."""
    available_s = threshold * chunk_s - overhead_s
    return max(size * int(available_s / duration_s) for size, duration_s in service.durations_s.items())


def rows(services: Sequence[Service], chunk_s: float, options: argparse.Namespace) -> Iterator[str]:
    for service in services:
        durations = ", ".join(f"{1e3 * each:.0f} ({size})" for size, each in service.durations_s.items())
        carried = [arms_carried(service, chunk_s, each, options.overhead) for each in options.thresholds]
        most = arms_at_most(service, chunk_s, options.thresholds[0], options.overhead)
        servers = [str(math.ceil(arms / carried[0])) if carried[0] else "none" for arms in FLEETS]
        yield f"| {' | '.join((service.name, service.source, durations, *map(str, (*carried, most)), *servers))} |"


def parse_service(text: str) -> Service:
    """NAME=MS or NAME=1:MS,4:MS; raises ValueError."""
    name, _, durations = text.rpartition("=")
    parts = [part.rpartition(":") for part in durations.split(",")]
    return Service(name, "given", {int(size or 1): float(ms) / 1e3 for size, _, ms in parts})


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=float, default=30.0, help="actions a second (default: %(default)s)")
    parser.add_argument("--chunk", type=int, default=50, help="actions of a chunk (default: %(default)s)")
    parser.add_argument(
        "--thresholds",
        type=float,
        nargs="+",
        default=[0.7, 0.4],
        help="of the executor; the first one counts",
    )
    parser.add_argument(
        "--overhead",
        type=float,
        default=0.05,
        help="network, images, queues of ROS (s, default: %(default)s)",
    )
    parser.add_argument(
        "--service",
        type=parse_service,
        action="append",
        default=[],
        metavar="NAME=MS",
        help="another service time, also by the number computed together: 'my GPU=1:60,4:90'",
    )
    options = parser.parse_args()
    arms = [f"arms, threshold {each:g}" for each in options.thresholds]
    columns = [*arms, "at most", *(f"servers for {count}" for count in FLEETS)]
    print(f"| server | source | ms (together) | {' | '.join(columns)} |")
    print(f"|---|---|---|{'--:|' * len(columns)}")
    for row in rows((*SERVICES, *options.service), options.chunk / options.rate, options):
        print(row)
    return 0


if __name__ == "__main__":
    sys.exit(main())
