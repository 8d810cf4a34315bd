"""Rules about the machine: processor, memory, limits, clock, and who runs it."""

from __future__ import annotations

from collections.abc import Iterator

from media.doctor.check import Verdict, advice, ok, problem, unknown
from media.doctor.demand import Demand
from media.doctor.facts import Facts
from media.limits import FEW_DESCRIPTORS, WANTED_DESCRIPTORS, attainable

SLOW_SOURCES = frozenset({"hpet", "acpi_pm", "jiffies", "refined-jiffies", "pit"})
"""Clocks that take microseconds to read, and are read for every batch."""
STEP_S, ERROR_S = 0.05, 1.0
STOLEN_ADVICE, STOLEN_PROBLEM = 0.02, 0.10
OWNER_BITS = 0o700


def open_files(facts: Facts, demand: Demand) -> Iterator[Verdict]:
    """Whether a process may open what its calls need; it raises the soft limit to the hard one by itself."""
    hard, soft = facts.machine.files_hard, facts.machine.files_soft
    if soft is None:
        yield ok("no limit")
        return
    limit = attainable(soft, hard)
    found = f"{limit:,} files for each process, of which the calls need {demand.files:,}"
    wanted = max(2 * demand.files, WANTED_DESCRIPTORS)
    if limit < demand.files:
        yield problem(found, files=wanted)
    elif limit < FEW_DESCRIPTORS:
        yield advice(found, files=wanted)
    else:
        yield ok(found)


def system_files(facts: Facts, demand: Demand) -> Iterator[Verdict]:
    """Whether the whole system has as many left."""
    used, most = facts.machine.system_files, facts.machine.most_system_files
    if used is None or most is None:
        yield unknown()
        return
    needed = demand.files * demand.workers
    found = f"{most - used:,} left in the whole system"
    yield ok(found) if most - used >= needed else problem(found, files=2 * (used + needed))


def cores(facts: Facts, demand: Demand) -> Iterator[Verdict]:
    """Whether there is a core for each process."""
    machine, workers = facts.machine, demand.workers
    usable = min(machine.cores, machine.quota_cores or machine.cores)
    found = f"{usable:g} for {workers} {'process' if workers == 1 else 'processes'}"
    if usable < 1:
        yield problem(found, workers=1)
    elif usable < workers:
        yield advice(found, workers=int(usable))
    else:
        yield ok(found)


def quota(facts: Facts, demand: Demand) -> Iterator[Verdict]:
    """Whether a control group makes the process wait."""
    machine = facts.machine
    if machine.quota_cores is None:
        yield ok("none")
    elif machine.throttled:
        yield problem(f"{machine.quota_cores:g} cores; it had to wait in {machine.throttled:,} periods")
    else:
        yield advice(f"{machine.quota_cores:g} cores; it has not had to wait yet")


def governor(facts: Facts, demand: Demand) -> Iterator[Verdict]:
    """Whether the cores may be slow when a burst comes."""
    name = facts.machine.governor
    if name is None:
        yield ok("the frequency is not ours to set")
    elif name == "powersave":
        yield advice(name)
    else:
        yield ok(name)


def stolen(facts: Facts, demand: Demand) -> Iterator[Verdict]:
    """Whether a hypervisor gives the processor to others."""
    share = facts.machine.stolen
    if share is None:
        yield unknown()
        return
    found = f"{share:.1%} of the time since boot"
    yield problem(found) if share > STOLEN_PROBLEM else advice(found) if share > STOLEN_ADVICE else ok(found)


def memory(facts: Facts, demand: Demand) -> Iterator[Verdict]:
    """Whether memory suffices for the calls."""
    machine, needed = facts.machine, demand.memory_bytes
    if machine.available_bytes is None:
        yield unknown()
        return
    left, where = machine.available_bytes, "available"
    if machine.limit_bytes is not None and machine.limit_bytes - machine.used_bytes < left:
        left, where = machine.limit_bytes - machine.used_bytes, "left in the control group"
    found = f"{_gib(left)} {where}; {demand.calls:,} calls take up to {_gib(needed)}"
    gib = f"{2 * needed / (1 << 30):.1f}"
    yield problem(found, gib=gib) if left < needed else advice(found, gib=gib) if left < 2 * needed else ok(found)


def synchronised(facts: Facts, demand: Demand) -> Iterator[Verdict]:
    """Whether somebody keeps wall time right."""
    clock = facts.clock
    if clock.is_behind:
        yield problem("wall time is before that of the program's own files")
    elif clock.is_synchronised is None:
        yield unknown()
    elif not clock.is_synchronised:
        yield advice("the kernel's clock is not synchronised")
    elif clock.error_s is not None and clock.error_s > ERROR_S:
        yield advice(f"synchronised, but may be {clock.error_s:.1f} s wrong")
    else:
        error = f", right to {clock.error_s * 1000:.0f} ms" if clock.error_s is not None else ""
        yield ok(f"synchronised{error}")


def steady(facts: Facts, demand: Demand) -> Iterator[Verdict]:
    """Whether somebody sets wall time meanwhile."""
    step_s = facts.clock.step_s
    if step_s is None:
        yield unknown()
        return
    found = f"it moved by {step_s * 1000:.1f} ms against monotonic time while this ran"
    yield advice(found) if abs(step_s) > STEP_S else ok(found)


def source(facts: Facts, demand: Demand) -> Iterator[Verdict]:
    """Whether time is quick to read."""
    name = facts.clock.source
    if name is None:
        yield unknown()
    else:
        yield advice(name) if name in SLOW_SOURCES else ok(name)


def user(facts: Facts, demand: Demand) -> Iterator[Verdict]:
    """Whether it runs as root."""
    number = facts.machine.user
    if number is None:
        yield unknown()
    else:
        yield advice("this is root") if number == 0 else ok(f"user {number}")


def umask(facts: Facts, demand: Demand) -> Iterator[Verdict]:
    """Whether the server can open what it makes; others cannot, whatever the umask is."""
    mask = facts.machine.umask
    if mask is None:
        yield unknown()
    elif mask & OWNER_BITS:
        yield problem(f"{mask:03o} keeps files from their owner")
    else:
        yield ok(f"{mask:03o}; files and directories are made for their owner alone")


def threads(facts: Facts, demand: Demand) -> Iterator[Verdict]:
    """Whether numpy's threads would take cores away; `strep` asks for one unless told otherwise."""
    told = facts.machine.threads
    yield advice(" ".join(told), what=" ".join(name.split("=")[0] for name in told)) if told else ok("one")


def _gib(size_bytes: int) -> str:
    return f"{size_bytes / (1 << 30):.1f} GiB"
