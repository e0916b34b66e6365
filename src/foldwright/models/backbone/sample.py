"""Design runs: new backbones from a trained model, one complete set of files each."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from foldwright.geometry.reconstruction import backbone_from_ca
from foldwright.models.backbone.design_files import DesignFolder, DesignRecord
from foldwright.models.backbone.design_settings import (
    DesignPlan,
    DesignSettings,
    SamplerPlan,
    resolve_settings,
)
from foldwright.models.backbone.model import BackboneModel
from foldwright.models.backbone.traces import DesignItem, sample_traces
from foldwright.runtime.errors import FoldwrightError
from foldwright.runtime.memory import PeakMemory, available_memory
from foldwright.runtime.progress import ProgressFactory, silent
from foldwright.runtime.run_record import finite_scores, weights_digest
from foldwright.runtime.seeds import derive_seed
from foldwright.structure.records import Chain, Structure

Score = Callable[[Structure], Mapping[str, Any]]

# Of the memory that is free, what a batch may fill: the rest is for fragmentation.
_MEMORY_SHARE = 0.7
# A chain of 4,096 residues drawn out straight reaches half as far.
_FARTHEST = 9000.0


@dataclass(frozen=True)
class DesignReport:
    """What a run did: all its records, and how many of them were there before."""

    records: tuple[DesignRecord, ...]
    resumed: int

    @property
    def failed(self) -> tuple[DesignRecord, ...]:
        """Designs without a structure."""
        return tuple(record for record in self.records if record.status == "failed")


def design(
    model: BackboneModel,
    settings: DesignSettings,
    out: Path,
    *,
    device: torch.device,
    score: Score | None = None,
    progress: ProgressFactory = silent,
) -> DesignReport:
    """Make the designs of a run that its folder does not hold yet.

    Stopped at any moment and started again, it ends with the same files as without the stop; with
    a larger `num` it adds designs. A design whose coordinates are not finite gets a record that
    says so and no structure.

    Args:
        model: in evaluation mode, on `device`.
        settings: what to make.
        out: folder for all files.
        device: where to compute.
        score: scores of a finished structure, columns of the table.
        progress: told about every step of every design.

    Raises:
        InputError: the settings make no sense together or with the model, or `out` holds a run
            with other settings.
        FoldwrightError: a batch does not fit into memory, or the disk is full.
    """
    plan = resolve_settings(
        settings, num_timesteps=model.process.num_timesteps, max_length=model.max_length
    )
    folder = DesignFolder(out)
    folder.begin(_run_identity(model, settings, plan))
    items = [_item(settings.seed, index, plan) for index in range(settings.num)]
    found = {item: folder.finished(item.name) for item in items}
    pending = [item for item in items if found[item] is None]
    records = [record for record in found.values() if record is not None]
    resumed = len(records)
    try:
        with progress("designing", len(pending) * plan.sampler.num_steps) as bar:
            for batch in _batches(model, pending, settings.batch, device):

                def on_step(timestep: int, size: int = len(batch)) -> None:
                    bar.advance(size, designs=f"{len(records)}/{len(items)}")

                traces = _sample(model, batch, plan.sampler, device, on_step)
                for item, trace in zip(batch, traces, strict=True):
                    records.append(_finish(folder, item, trace, score))
    finally:
        folder.write_scores(records)
    return DesignReport(tuple(sorted(records, key=lambda record: record.index)), resumed)


def _item(run_seed: int, index: int, plan: DesignPlan) -> DesignItem:
    return DesignItem(index, plan.lengths.draw(run_seed, index), derive_seed(run_seed, index))


def _run_identity(
    model: BackboneModel, settings: DesignSettings, plan: DesignPlan
) -> dict[str, Any]:
    """All that decides what design `i` of a run is; the number of designs does not."""
    return {
        "length": f"{plan.lengths.low}-{plan.lengths.high}",
        "seed": settings.seed,
        "sampler": plan.sampler.sampler,
        "steps": plan.sampler.num_steps,
        "spacing": plan.sampler.spacing,
        **plan.sampler.options,
        "restrain": plan.sampler.restrain,
        "weights_sha256": weights_digest(model.state_dict()),
    }


def _sample(
    model: BackboneModel,
    batch: Sequence[DesignItem],
    plan: SamplerPlan,
    device: torch.device,
    on_step: Callable[[int], None],
) -> list[Tensor]:
    try:
        return sample_traces(model, batch, plan, device=device, on_step=on_step)
    except torch.OutOfMemoryError as error:
        longest = max(item.length for item in batch)
        raise FoldwrightError(
            f"a batch of {len(batch)} designs of up to {longest} residues does not fit into the "
            f"memory of {device}; what is finished is kept: run the same command again with "
            f"--batch {max(1, len(batch) // 2)}, or with --device cpu if that is 1 already"
        ) from error


def _finish(
    folder: DesignFolder, item: DesignItem, trace: Float[Tensor, "n 3"], score: Score | None
) -> DesignRecord:
    """Write structures, then the record that says they are there."""
    record = DesignRecord(item.name, item.index, item.length, item.seed, status="done")
    bad = ~torch.isfinite(trace) | (trace.abs() > _FARTHEST)
    if bool(bad.any()):
        reason = f"{int(bad.any(-1).sum())} residues are not finite or beyond {_FARTHEST:.0f} Å"
        record = replace(record, status="failed", reason=reason)
    else:
        chain = Chain.from_backbone(backbone_from_ca(trace).numpy())
        structure = Structure(item.name, (chain,))
        folder.write_structures(structure)
        record = replace(record, scores={} if score is None else finite_scores(score(structure)))
    folder.write_record(record)
    return record


def _batches(
    model: BackboneModel,
    items: Sequence[DesignItem],
    size: int | None,
    device: torch.device,
) -> Iterable[list[DesignItem]]:
    """Cut a run into batches: of equal size if one is given, else of equal memory.

    On the CPU the network sees one design at a time anyway (`sample_traces`), so they are made,
    and finished, in order.
    """
    if not items:
        return []
    if size is None and device.type == "cpu":
        size = 1
    if device.type != "cpu":
        # Long ones first: what does not fit fails at once, and little padding is needed.
        items = sorted(items, key=lambda item: (-item.length, item.index))
    if size is not None:
        return [list(items[start : start + size]) for start in range(0, len(items), size)]
    return _fill(model, items, _room(model, items[0], device))


def _fill(model: BackboneModel, items: Sequence[DesignItem], room: int) -> list[list[DesignItem]]:
    """Batches of falling length whose padded sizes stay within `room`."""
    batches: list[list[DesignItem]] = []
    for item in items:
        if batches and (len(batches[-1]) + 1) * _size(model, batches[-1][0].length) <= room:
            batches[-1].append(item)
        else:
            batches.append([item])
    return batches


def _room(model: BackboneModel, longest: DesignItem, device: torch.device) -> int:
    """Sum of sizes whose network pass fits into free memory, from one measured pass."""
    zeros = torch.zeros(1, longest.length, 3, device=device)
    mask = torch.ones(1, longest.length, dtype=torch.bool, device=device)
    with torch.inference_mode(), PeakMemory(device) as peak:
        model.denoise(zeros, mask, torch.zeros(1, dtype=torch.int64, device=device))
    per_size = max(peak.bytes, 1) / _size(model, longest.length)
    return int(_MEMORY_SHARE * available_memory(device) / per_size)


def _size(model: BackboneModel, length: int) -> int:
    """What memory grows with: residue pairs, or residues where the pairs are factors or lists."""
    return length**2 if model.genie.pair == "dense" else length
