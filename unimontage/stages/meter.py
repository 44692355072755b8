"""What a job took and where: time, energy where the hardware counts it, processor and GPUs."""

import ctypes
import os
import platform
import resource
import socket
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

POWERCAP = Path("/sys/class/powercap")
NVML = "libnvidia-ml.so.1"


class Meter:
    """Runs from when it is made.

    Parameters
    ----------
    powercap : Path
        Folder in which the kernel counts a processor's energy.
    """

    def __init__(self, powercap: Path = POWERCAP) -> None:
        self._powercap, self._started, self._clock = powercap, datetime.now(UTC), time.monotonic()
        self._processors, self._gpus = processor_energy(powercap), gpu_energy()

    def read(self, gpus: int = 0) -> dict[str, Any]:
        """Time and energy since the start, and the hardware.

        Energy is that of whole processors and whole GPUs, whoever else uses them; where it is unknown it is null, and
        ``reason`` says why.

        Parameters
        ----------
        gpus : int
            GPUs that the job asked for.
        """
        wall_s, used = time.monotonic() - self._clock, used_gpus(gpus)
        own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return {
            "started": self._started.isoformat(timespec="seconds"),
            "wall_s": round(wall_s, 3),
            "cpu_s": round(own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime, 3),
            "gpu_s": round(wall_s * len(used), 3),
            "energy": {
                "processors": _spent(self._processors, processor_energy(self._powercap)),
                "gpus": _spent(self._gpus, gpu_energy(), used) if used else _unknown("the job used no GPU"),
            },
            "hardware": hardware(used),
        }


def hardware(gpus: dict[str, str]) -> dict[str, Any]:
    """The machine, the processors that this process may use, and its GPUs."""
    return {
        "host": socket.gethostname(),
        "processor": _processor(),
        "processors": len(os.sched_getaffinity(0)),
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "gpus": list(gpus.values()),
    }


def used_gpus(asked: int) -> dict[str, str]:
    """Names of the GPUs that this job worked on, by their identifier; all that it sees if it had several processes."""
    torch = sys.modules.get("torch")  # a job that has not loaded it used none
    if torch is None or not torch.cuda.is_available() or not (asked > 1 or torch.cuda.is_initialized()):
        return {}
    places = range(torch.cuda.device_count())
    worked = [k for k in places if asked > 1 or torch.cuda.max_memory_reserved(k)]
    known = [torch.cuda.get_device_properties(k) for k in worked]
    return {f"GPU-{each.uuid}".replace("GPU-GPU-", "GPU-"): each.name for each in known}


def processor_energy(powercap: Path) -> dict[str, float] | str:
    """Joules that each processor has used since some time in the past; why they are not known otherwise."""
    counters = sorted(powercap.glob("intel-rapl:[0-9]*"))
    found: dict[str, float] = {}
    for folder in counters:
        if folder.name.count(":") > 1:  # a part of a processor
            continue
        try:
            found[folder.name] = int((folder / "energy_uj").read_text()) / 1e6
        except OSError as error:
            return f"{folder}/energy_uj: {error.strerror}"
    return found or f"no energy counter in {powercap}"


def gpu_energy() -> dict[str, float] | str:
    """Joules that each GPU has used since its driver was loaded; why they are not known otherwise."""
    try:
        library = ctypes.CDLL(NVML)
    except OSError:
        return f"no {NVML}"
    count, found = ctypes.c_uint(), {}
    if library.nvmlInit_v2() or library.nvmlDeviceGetCount_v2(ctypes.byref(count)):
        return "the driver does not answer"
    for k in range(count.value):
        device, name, millijoule = ctypes.c_void_p(), ctypes.create_string_buffer(96), ctypes.c_ulonglong()
        library.nvmlDeviceGetHandleByIndex_v2(k, ctypes.byref(device))
        library.nvmlDeviceGetUUID(device, name, len(name))
        if library.nvmlDeviceGetTotalEnergyConsumption(device, ctypes.byref(millijoule)) == 0:
            found[name.value.decode()] = millijoule.value / 1e3
    library.nvmlShutdown()
    return found or "the GPU counts no energy"


def _spent(before: dict[str, float] | str, after: dict[str, float] | str, of: Any = None) -> dict[str, Any]:
    """Joules between two readings."""
    unread = next((reading for reading in (before, after) if isinstance(reading, str)), None)
    if unread:
        return _unknown(unread)
    names = list(after if of is None else of)
    if any(after.get(name, -1) < before.get(name, 0) for name in names):
        return _unknown("a counter began anew, or is missing")
    return {"joule": round(sum(after[name] - before[name] for name in names), 3), "reason": None}


def _unknown(reason: str) -> dict[str, Any]:
    return {"joule": None, "reason": reason}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())
