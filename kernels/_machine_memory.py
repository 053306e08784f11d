"""How much memory of this machine a process may still take."""

import os
from pathlib import Path


def free_memory():
    """Return the bytes that this process can still take without swapping or being killed; None where the
    system does not say.
    """
    found = [amount for amount in (_free_of_the_machine(), *_free_of_the_groups()) if amount is not None]
    return min(found) if found else None


def _free_of_the_machine():
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    except (OSError, ValueError):
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf(
            "SC_PHYS_PAGES"
        )  # all of it: how much is in use, only Linux tells
    except (AttributeError, ValueError, OSError):
        return None


def _free_of_the_groups():
    """What is left of the limits that a container or job sets (Linux control groups), those of all groups
    above this process.
    """
    try:
        lines = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    except OSError:
        return
    for _, controllers, group in lines:
        if controllers == "":
            root, names = Path("/sys/fs/cgroup"), ("memory.max", "memory.current", "inactive_file ")
        elif "memory" in controllers.split(","):
            root, names = (
                Path("/sys/fs/cgroup/memory"),
                ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "),
            )
        else:
            continue
        place = root / group.lstrip("/")
        for folder in (place, *place.parents):
            if folder == root or root in folder.parents:
                yield _left(folder, *names)


def _left(folder, limit, usage, files):
    """Limit less usage, in bytes; file contents that are only kept because nobody needed the memory do not
    count as used.
    """
    try:
        limit, usage = (
            int((folder / name).read_text()) for name in (limit, usage)
        )  # "max" is no number: no limit
        kept = next(
            (
                int(line.split()[1])
                for line in (folder / "memory.stat").read_text().splitlines()
                if line.startswith(files)
            ),
            0,
        )
        return max(limit - usage + kept, 0)
    except (OSError, ValueError):
        return None
