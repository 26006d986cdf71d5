"""How many processor cores this process may really use: its share, not all that the machine has.

A batch system binds a process to some cores, and a container gets a quota of their time. Whoever
starts a process or thread for each core of the machine is then slowed down by those that wait.
"""

import math
import os
from collections.abc import Iterator
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")  # groups of both versions on Linux; nothing on other systems
TASKS = Path("/proc/self/task")  # threads of this process on Linux
OWN_GROUPS = Path("/proc/self/cgroup")  # lines such as `0::/user.slice` or `4:cpu,cpuacct:/job7`


def usable_cores() -> int:
    """Number of cores that this process may use, at least 1.

    The least of the cores of the machine, those that the process is bound to, and the quota of its
    container in either version of Linux' control groups, rounded up.
    """
    cores = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):  # Linux only
        cores = min(cores, len(os.sched_getaffinity(0)))
    return max(1, min([cores, *(math.ceil(quota) for quota in _quotas())]))


def worker_count(workers: int | None) -> int:
    """Return `workers`, or for None the number of cores that this process may use.

    Raises ValueError for a number below 1.
    """
    if workers is None:
        return usable_cores()
    if workers < 1:
        raise ValueError(f"workers must be 1 or more, not {workers}.")
    return workers


def seconds_waited() -> float:
    """Seconds that threads of this process were ready to run while others had the cores.

    Summed over the threads that live; 0 where the system does not count them.
    """
    waited = 0
    for file in TASKS.glob("*/schedstat"):  # ns on a core, ns of waiting, number of turns
        try:
            waited += int(file.read_text().split()[1])
        except (OSError, IndexError, ValueError):  # a thread that has just ended
            continue
    return waited / 1e9


def _quotas() -> Iterator[float]:
    """Cores whose time the groups of this process may use, of each group that has a limit."""
    for folder in control_groups("cpu"):
        try:
            if (folder / "cpu.max").is_file():  # version 2: "max 100000" has no limit
                quota, period = (folder / "cpu.max").read_text().split()
            else:  # version 1: a quota of -1 has none
                quota = (folder / "cpu.cfs_quota_us").read_text()
                period = (folder / "cpu.cfs_period_us").read_text()
            cores = int(quota) / int(period)
        except (OSError, ValueError, ZeroDivisionError):
            continue
        if cores > 0:
            yield cores


def control_groups(controller: str) -> Iterator[Path]:
    """Folders of the process's groups that may limit its share of something, and of those above.

    controller: of what, "cpu" or "memory". Inside a container the groups above are often hidden,
    and its own one looks like the uppermost.
    """
    try:
        lines = OWN_GROUPS.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if number == "0" or controller in controllers.split(","):
            top = CGROUPS if number == "0" else CGROUPS / controller
            own = top / path.strip("/")
            yield from (group for group in (own, *own.parents) if group.is_relative_to(top))
