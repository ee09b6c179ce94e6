"""What containers use, as Docker shows it."""

from collections.abc import Sequence

from msgspec import UNSET

from linkspan.api.bodies.stats import (
    BlockEntry,
    BlockStats,
    CpuStats,
    CpuTimes,
    LinkStats,
    MemoryStats,
    PidsStats,
    StatsBody,
    Throttling,
)
from linkspan.api.ports import Measurement
from linkspan.api.render.times import timestamp
from linkspan.model.containers import Container
from linkspan.model.usage import BlockUsage, LinkUsage, Usage


def stats_body(container: Container, now: Measurement, before: Measurement | None) -> StatsBody:
    """A measurement beside the one before it; only names and zeros when the container does not run."""
    body = StatsBody(
        name=f"/{container.name}",
        id=container.id,
        read=timestamp(now.time if now.usage is not None else None),
        preread=timestamp(before.time if before is not None else None),
    )
    if before is not None and before.usage is not None:
        body.precpu_stats = _cpu(before.usage)
    if (usage := now.usage) is not None:
        body.cpu_stats = _cpu(usage)
        body.pids_stats = PidsStats(current=usage.pids, limit=usage.pids_limit)
        body.blkio_stats = BlockStats(
            io_service_bytes_recursive=_entries(usage.block_bytes),
            io_serviced_recursive=_entries(usage.block_operations),
        )
        memory = usage.memory
        body.memory_stats = MemoryStats(
            usage=memory.now,
            max_usage=memory.most,
            stats=dict(memory.details),
            failcnt=memory.failures,
            limit=min(memory.limit or usage.machine_memory, usage.machine_memory),
        )
        body.networks = {link.name: _link(link) for link in usage.links} if usage.links else UNSET
    return body


def _cpu(usage: Usage) -> CpuStats:
    cpu = usage.cpu
    return CpuStats(
        cpu_usage=CpuTimes(
            total_usage=cpu.total,
            percpu_usage=list(cpu.each) or UNSET,
            usage_in_kernelmode=cpu.kernel,
            usage_in_usermode=cpu.user,
        ),
        system_cpu_usage=usage.system,
        online_cpus=usage.cpus,
        throttling_data=Throttling(
            periods=cpu.periods, throttled_periods=cpu.throttled_periods, throttled_time=cpu.throttled
        ),
    )


def _entries(counters: Sequence[BlockUsage]) -> list[BlockEntry]:
    return [BlockEntry(major=each.major, minor=each.minor, op=each.op, value=each.value) for each in counters]


def _link(link: LinkUsage) -> LinkStats:
    received, sent = link.received, link.sent
    return LinkStats(
        rx_bytes=received[0],
        rx_packets=received[1],
        rx_errors=received[2],
        rx_dropped=received[3],
        tx_bytes=sent[0],
        tx_packets=sent[1],
        tx_errors=sent[2],
        tx_dropped=sent[3],
    )
