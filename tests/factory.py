"""Records made by hand that look like real ones, for tests of everything that reads records."""

import base64
import datetime
import math
import random

from hdrh.histogram import HdrHistogram

from workbench import record

CLOCK = record.Clock(source="tsc", ns_per_tick=0.25, cost_ns=10.0, step_ns=10.0, invariant=True)
SPEEDS_NS = {"baseline": 180.0, "ladder": 40.0, "aligned": 31.0}


def machine(**changes):
    values = {
        "hardware_key": "5f0c2d7e91ab",
        "host": "bench-1",
        "cpu_model": "AMD EPYC 9R45",
        "cores": 2,
        "caches": {"L1d": 49152, "L2": 1048576, "L3": 33554432},
        "hypervisor": "kvm",
        "linux": "6.12.0",
        "memory_bytes": 24 * 10**9,
        "load_1min": 0.3,
        "versions": {
            "python": "3.11.9",
            "numpy": "2.4.0",
            "numba": "0.68.1",
            "llvmlite": "0.50.0",
            "workbench": "0.1.0",
        },
        "target_cpu": "znver5",
        "target_features_hash": "aa55",
        "git_revision": "0123456789abcdef0123456789abcdef01234567",
        "git_dirty": False,
    }
    return record.Machine(**{**values, **changes})


def histogram(median_ns, seed, count=4000):
    """A latency histogram with a log-normal body and a thin far tail, in HdrHistogram's own compressed form."""
    random_ = random.Random(seed)
    counts = HdrHistogram(1, 60_000_000_000, 3)
    for _ in range(count):
        tail = 20.0 if random_.random() < 0.002 else 1.0
        counts.record_value(max(1, int(median_ns * tail * math.exp(random_.gauss(0, 0.25)))))
    text = counts.encode()
    return text.decode() if isinstance(text, bytes) else base64.b64encode(text).decode()


def results(kernel, variant, median_ns, samples=40_000):
    def row(metric, statistic, unit, value, spread):
        return record.Result(
            kernel=kernel,
            variant=variant,
            metric=metric,
            statistic=statistic,
            unit=unit,
            value=value,
            low=value * (1 - spread),
            high=value * (1 + spread),
            samples=samples,
        )

    return [
        row("service_time", "p50", "ns", median_ns, 0.01),
        row("service_time", "p99", "ns", median_ns * 2.2, 0.04),
        row("service_time", "p999", "ns", median_ns * 11, 0.15),
        row("throughput", "mean", "operations/s", 1e9 / median_ns, 0.01),
        row("peak_rss", "max", "bytes", 170e6, 0.0),
    ]


def replicates(kernel, speeds, number=3, blocks=6, seed=1, scale=1.0):
    random_ = random.Random(seed)
    made = []
    for index in range(number):
        made_blocks = []
        for block in range(blocks):
            order = list(speeds)
            sides = []
            for place, variant in enumerate(order + order[::-1]):
                median = speeds[variant] * scale * math.exp(random_.gauss(0, 0.004))
                operations = 20_000
                sides.append(
                    record.Side(
                        variant=f"{kernel}/{variant}",
                        place=place,
                        operations=operations,
                        elapsed_ns=int(median * operations),
                        histogram=histogram(median, seed * 1000 + block, 400) if place < len(order) else None,
                    )
                )
            made_blocks.append(record.Block(replicate=index, index=block, sides=sides))
        made.append(
            record.Replicate(
                index=index,
                core=index % 2,
                clock=CLOCK,
                started=datetime.datetime(2026, 1, 5, 1, index, tzinfo=datetime.UTC),
                code_hash={f"{kernel}/{variant}": f"{variant:0<16}" for variant in speeds},
                peak_rss_bytes=170_000_000,
                blocks=made_blocks,
            )
        )
    return made


def comparison(a, b, ratio, verdict, spread=0.01, **changes):
    values = {
        "a": a,
        "b": b,
        "metric": "service_time",
        "statistic": "p50",
        "ratio": ratio,
        "low": ratio * (1 - spread),
        "high": ratio * (1 + spread),
        "margin": 0.03,
        "verdict": verdict,
        "blocks": 18,
        "replicates": 3,
    }
    return record.Comparison(**{**values, **changes})


def run(
    kernel="order_book", speeds=None, *, comparisons=(), scale=1.0, seed=1, created=None, with_blocks=True, **machine_
):
    """A run of three variants of `kernel`; `scale` makes every one slower by that factor."""
    speeds = SPEEDS_NS if speeds is None else speeds
    return record.Run(
        machine=machine(**machine_),
        created=created or datetime.datetime(2026, 1, 5, 1, 0, seed % 60, tzinfo=datetime.UTC),
        workload=record.Workload(
            name="synthetic", content="synthetic", events=40_000, symbols=8, sha256="0" * 64, seed=7
        ),
        parameters={kernel: {"symbols": 8}},
        results=[row for name, median in speeds.items() for row in results(kernel, name, median * scale)],
        comparisons=list(comparisons),
        replicates=replicates(kernel, speeds, seed=seed, scale=scale) if with_blocks else [],
        duration_s=12.0,
    )


def loaded(kernel: str = "order_book", knee: float = 2e6) -> record.Run:
    """Return the record of an open loop: `ladder` at three loads, the last of which it does not hold."""

    def row(metric, statistic, unit, value, rate=None):
        return record.Result(
            kernel=kernel, variant="ladder", metric=metric, statistic=statistic, unit=unit, value=value, low=None,
            high=None, samples=1000, rate_per_s=rate,
        )  # fmt: skip

    results = []
    for rate, response in ((1e6, 90.0), (2e6, 120.0), (4e6, 1e6)):
        results += [row("response_time", name, "ns", response, rate) for name in ("p50", "p99", "p999")]
        results += [row("service_time", name, "ns", 80.0, rate) for name in ("p50", "p99", "p999")]
        results.append(row("achieved_rate", "median", "operations/s", rate, rate))
    results.append(row("knee", "p99 <= 5000 ns", "operations/s", knee))
    return run(kernel).model_copy(update={"results": results})
