"""Runs of new peptides from a trained model, as FASTA, CSV and JSON."""

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from foldwright.models.peptide.draws import Draw, batches_of, draw_sequences, timesteps_of
from foldwright.models.peptide.model import PeptideModel
from foldwright.models.peptide.model_facts import ModelFacts
from foldwright.models.peptide.peptide_files import (
    PeptideFolder,
    PeptideRecord,
    require_whole_run,
)
from foldwright.models.peptide.peptide_settings import (
    PeptidePlan,
    PeptideSettings,
    resolve_peptide_settings,
    wanted_text,
)
from foldwright.models.peptide.seen_peptides import SeenPeptides
from foldwright.models.peptide.selection import Barred, Choice, choose
from foldwright.runtime.progress import ProgressFactory, silent
from foldwright.runtime.run_record import finite_scores, weights_digest
from foldwright.runtime.side_by_side import side_by_side

PeptideScore = Callable[[Sequence[str]], Sequence[Mapping[str, Any]]]
"""Scores of peptides, one mapping each, in the order of the sequences."""

_DRAWS_PER_FILE = 64


@dataclass(frozen=True)
class PeptideReport:
    """What a run did: all its records, and how many of them were there before.

    `seen` is the number of training peptides that draws were compared with: 0 where the run lets
    them pass, None where the weights cannot tell.
    """

    records: tuple[PeptideRecord, ...]
    resumed: int
    seen: int | None

    @property
    def failed(self) -> tuple[PeptideRecord, ...]:
        """Peptides that no attempt gave."""
        return tuple(record for record in self.records if record.status == "failed")

    @property
    def rejected(self) -> dict[str, int]:
        """How many draws were turned down for which reason."""
        total: dict[str, int] = {}
        for record in self.records:
            for fault, count in record.rejected.items():
                total[fault] = total.get(fault, 0) + count
        return total


def generate_peptides(
    model: PeptideModel,
    settings: PeptideSettings,
    out: Path,
    *,
    device: torch.device,
    avoid: Sequence[str] = (),
    score: PeptideScore | None = None,
    progress: ProgressFactory = silent,
) -> PeptideReport:
    """Make the peptides of a run that its folder does not hold yet.

    Every peptide has exactly the length asked for and only the 20 residues. On the CPU peptide `i`
    depends on the settings, the weights and, with `unique`, on the peptides before it; not on
    batches or stops. Stopped at any moment and started again, the run ends with the same files as
    without the stop; with a larger `num` it adds peptides. A draw that breaks a rule is counted and
    drawn again with a new seed; a peptide without a good draw gets a record that says so.

    Args:
        model: in evaluation mode, on `device`.
        settings: what to make.
        out: folder for all files.
        device: where to compute.
        avoid: peptides that must not come out.
        score: scores of finished peptides, columns of the table.
        progress: told about every step of every draw.

    Raises:
        InputError: the settings make no sense together or with the model, or `out` holds a run
            with other settings or more peptides.
    """
    plan = resolve_peptide_settings(settings, _facts(model))
    folder = PeptideFolder(out)
    before = folder.finished()
    require_whole_run(out, settings.num, before)
    barred = _barred(model, settings, plan, avoid)
    folder.begin(_run_identity(model, settings, plan, barred))
    seen = _num_compared(model, settings, barred.seen)
    if len(before) == settings.num:
        return PeptideReport(tuple(before), len(before), seen)
    runner = _Runner(model, plan, barred, folder, device, progress)
    choices = runner.run(settings, before)
    records = [_record(choice, settings, plan, model.labels) for choice in choices]
    records = [*before, *_scored(records, score)]
    folder.finish(records)
    return PeptideReport(tuple(records), len(before), seen)


class _Runner:
    """Draws until every peptide is decided."""

    def __init__(
        self,
        model: PeptideModel,
        plan: PeptidePlan,
        barred: Barred,
        folder: PeptideFolder,
        device: torch.device,
        progress: ProgressFactory,
    ) -> None:
        self._model, self._plan, self._barred = model, plan, barred
        self._folder, self._device, self._progress = folder, device, progress
        self._drawn = folder.drafts()
        self._unsaved: dict[tuple[int, int], str | None] = {}

    def run(self, settings: PeptideSettings, before: Sequence[PeptideRecord]) -> list[Choice]:
        """Decide the peptides from number `len(before)` on."""
        indices = range(len(before), settings.num)
        taken = [record.sequence for record in before if record.status == "done"]
        task = "generating"
        while True:
            choices, missing = choose(indices, self._drawn, self._plan.rules, self._barred, taken)
            if not missing:
                return choices
            draws = [
                Draw(index, attempt, self._plan.length_of(settings.seed, index), settings.seed)
                for index, attempt in missing
            ]
            try:
                self._draw(task, draws)
            finally:
                self._save()
            task = "drawing again"

    def _draw(self, task: str, draws: Sequence[Draw]) -> None:
        steps = len(timesteps_of(self._model, self._plan))
        batches = batches_of(draws, self._device)
        counting = threading.Lock()
        with self._progress(task, len(draws) * steps) as bar:

            def make(batch: Sequence[Draw], proceed: Callable[[], None]) -> list[str | None]:
                def on_step(timestep: int) -> None:
                    proceed()
                    with counting:
                        bar.advance(len(batch))

                return draw_sequences(
                    self._model, self._plan, batch, device=self._device, on_step=on_step
                )

            with side_by_side(make, batches, self._device) as results:
                for batch, made in zip(batches, results, strict=True):
                    keys = [draw.key for draw in batch]
                    self._unsaved.update(zip(keys, made, strict=True))
                    if len(self._unsaved) >= _DRAWS_PER_FILE:
                        self._save()

    def _save(self) -> None:
        self._folder.write_drafts(self._unsaved)
        self._drawn.update(self._unsaved)
        self._unsaved = {}


def _facts(model: PeptideModel) -> ModelFacts:
    return ModelFacts(
        labels=model.labels,
        max_length=model.max_length,
        num_timesteps=model.process.num_timesteps,
        length_counts=model.length_counts.cpu(),
        inactive_counts=None if model.seen is None else model.seen.inactive,
        takes_structures=model.config.denoiser.cross_attention,
    )


def _barred(
    model: PeptideModel, settings: PeptideSettings, plan: PeptidePlan, avoid: Sequence[str]
) -> Barred:
    """What may not come out: what is to be avoided always, the rest where peptides are unique."""
    if not settings.unique:
        return Barred(avoided=frozenset(avoid))
    given = () if plan.partial is None else plan.partial.texts
    seen = None if settings.allow_known else model.seen
    return Barred(given, frozenset(avoid), seen)


def _num_compared(
    model: PeptideModel, settings: PeptideSettings, seen: SeenPeptides | None
) -> int | None:
    if seen is not None:
        return len(seen.digests)
    return 0 if settings.allow_known or not settings.unique else None


def _record(
    choice: Choice, settings: PeptideSettings, plan: PeptidePlan, labels: tuple[str, ...]
) -> PeptideRecord:
    length = plan.length_of(settings.seed, choice.index)
    last = Draw(choice.index, choice.attempts - 1, length, settings.seed)
    return PeptideRecord(
        name=f"peptide_{choice.index:05d}",
        index=choice.index,
        sequence=choice.sequence or "",
        length=length,
        labels=wanted_text(plan, labels),
        seed=last.seed,
        attempts=choice.attempts,
        status="failed" if choice.sequence is None else "done",
        rejected=dict(choice.rejected),
    )


def _scored(records: Sequence[PeptideRecord], score: PeptideScore | None) -> list[PeptideRecord]:
    done = [record for record in records if record.status == "done"]
    if score is None or not done:
        return list(records)
    found = score([record.sequence for record in done])
    scores = {
        record.index: finite_scores(values) for record, values in zip(done, found, strict=True)
    }
    return [replace(record, scores=scores.get(record.index, {})) for record in records]


def _run_identity(
    model: PeptideModel, settings: PeptideSettings, plan: PeptidePlan, barred: Barred
) -> dict[str, Any]:
    """All that decides what peptide `i` of a run is; the number of peptides does not."""
    asked = settings.model_dump(exclude={"num", "structure"} | set(plan.sampler.options))
    return {
        **asked,
        **plan.sampler.options,
        "steps": plan.sampler.num_steps,
        "weights_sha256": weights_digest(model.state_dict()),
        "seen_sha256": None if barred.seen is None else barred.seen.fingerprint(),
        "avoid_sha256": _text_digest(barred.avoided) if barred.avoided else None,
        "structure_sha256": None
        if plan.structure is None
        else weights_digest({"structure": plan.structure.values}),
    }


def _text_digest(sequences: AbstractSet[str]) -> str:
    return hashlib.sha256("\n".join(sorted(sequences)).encode()).hexdigest()
