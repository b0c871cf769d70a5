"""Peak memory of this process."""

from pathlib import Path


def peak():
    """Megabytes, resident at the most, of this program alone: ``getrusage`` counts its parent's too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024
