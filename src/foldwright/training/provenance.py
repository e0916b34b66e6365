"""What a run was made with: one line per start, so that weights can say where they come from."""

import json
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import torch

from foldwright import __version__
from foldwright.training.config import FitConfig
from foldwright.training.distributed import Ranks
from foldwright.training.precision import PrecisionPolicy


def hardware(device: torch.device) -> str:
    """Name the device as a person would."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{_processor()} ({device.type}), {torch.get_num_threads()} thread(s)"


def _processor() -> str:
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text(encoding="utf-8").splitlines() if facts.exists() else []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor() or platform.machine())


def record_start(
    out_dir: Path,
    config: FitConfig,
    ranks: Ranks,
    policy: PrecisionPolicy,
    step: int,
    changes: Sequence[str],
) -> None:
    """Add a line to `starts.jsonl`: when, where, with what, and what was changed on purpose."""
    line = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "after_step": step,
        "foldwright": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "device": hardware(ranks.device),
        "processes": ranks.num_ranks,
        "precision": str(policy.dtype).removeprefix("torch."),
        "precision_reason": policy.reason,
        "changes": list(changes),
        "config": config.model_dump(mode="json"),
    }
    with (out_dir / "starts.jsonl").open("a", encoding="utf-8") as handle:
        handle.write(json.dumps(line) + "\n")
