"""The training loop: steps, validation, checkpoints and metrics, from any point on."""

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from foldwright.runtime.errors import InputError, Problem
from foldwright.runtime.progress import ProgressFactory, silent
from foldwright.training.archive import CheckpointArchive
from foldwright.training.config import FitConfig
from foldwright.training.distributed import Ranks, join_ranks
from foldwright.training.precision import choose_precision
from foldwright.training.recorder import Recorder
from foldwright.training.resume import deciding_settings, require_same_settings
from foldwright.training.session import torch_session
from foldwright.training.state import Best, RunState
from foldwright.training.step import NonFiniteError, StepOutcome, StepRunner
from foldwright.training.stopping import Reason, StopWatch
from foldwright.training.stream import Share, StepPlan, stream_steps
from foldwright.training.task import Task
from foldwright.training.trained import Trained
from foldwright.training.validation import validate


@dataclass(frozen=True)
class FitResult:
    """How a run ended, and what it left.

    `epoch` is the one the next step belongs to; `best` has a step and its validation loss;
    `is_first` is true in the one process of several that should write what is made of them.
    """

    status: Literal["finished"] | Reason
    step: int
    epoch: int
    checkpoint: Path
    best: Best | None
    is_first: bool


def fit(
    task: Task[Any],
    config: FitConfig,
    out_dir: Path,
    *,
    progress: ProgressFactory = silent,
    resume_from: Path | None = None,
) -> FitResult:
    """Train a task, or go on where the same call was stopped.

    A run that was stopped anywhere and goes on gives the same numbers as one that was not (bit by
    bit on the CPU): random numbers and the order of the data are functions of the seed and the
    step. SIGINT, SIGTERM and the end of `max_minutes` finish the step, save and return. Started by
    `torchrun`, the processes share the batches of each step, and must see the same `out_dir`.

    Args:
        task: what is trained; its module is moved to the device and trained in place.
        config: how.
        out_dir: gets `checkpoints/`, `metrics.jsonl`, `metrics.csv`, `summary.json` and
            `starts.jsonl`.
        progress: shows loss, learning rate, gradient norm, memory and speed.
        resume_from: a checkpoint to go on from instead of the latest; later ones are set aside.

    Raises:
        InputError: a setting differs from those of the checkpoint, the device or the precision is
            not there, or there is nothing to train on.
        NonFiniteError: the loss or a gradient is not finite; names the samples and the first bad
            tensor. Checkpoints are intact.
        FoldwrightError: the checkpoint is damaged, or the disk is full.
    """
    with contextlib.ExitStack() as stack:
        ranks = stack.enter_context(join_ranks(config.device))
        stack.enter_context(torch_session(ranks.device, fixed_shapes=task.fixed_shapes))
        watch = stack.enter_context(StopWatch(config.max_minutes))
        run = _Run(task, config, out_dir, ranks)
        changes = run.resume(resume_from)
        recorder = stack.enter_context(run.open_recorder(changes))
        return run.train(recorder, watch, progress if ranks.is_first else silent)


class _Run:
    def __init__(self, task: Task[Any], config: FitConfig, out_dir: Path, ranks: Ranks) -> None:
        self.task, self.config, self.out_dir, self.ranks = task, config, out_dir, ranks
        self.policy = choose_precision(config.precision, ranks.device)
        self.archive = CheckpointArchive(out_dir)
        self.settings = deciding_settings(config, task.settings, ranks.num_ranks)
        self.state = RunState()
        task.module.to(ranks.device)
        ranks.share_weights(task.module)
        self.runner = StepRunner(task, config, ranks, self.policy)
        self.trained = Trained(task.module, self.runner, config.ema.decay)
        self.saved_step: int | None = None

    def resume(self, resume_from: Path | None) -> list[str]:
        """Take up the state of a checkpoint, if there is one; return allowed changes in words."""
        path = self._checkpoint_to_resume(resume_from)
        changes: list[str] = []
        if path is not None:
            checkpoint = self.archive.read(path)
            changes = require_same_settings(
                checkpoint.state["settings"], self.settings, self.config.allow_changes
            )
            self.state = RunState.from_json(checkpoint.state)
            self.trained.restore(checkpoint, path)
            self.saved_step = self.state.step
            if self.ranks.is_first:
                self.archive.rewind(checkpoint.state)
        if self.config.compile:
            self.task.compile()
        return changes

    def _checkpoint_to_resume(self, resume_from: Path | None) -> Path | None:
        if resume_from is None:
            return self.archive.latest()
        if resume_from.resolve().parent != self.archive.folder.resolve():
            raise InputError(
                Problem(
                    str(resume_from),
                    f"is not a checkpoint of this run; expected a folder in {self.archive.folder}",
                )
            )
        return resume_from

    def open_recorder(self, changes: list[str]) -> Recorder:
        """Open the metrics files, without the lines of work that was lost."""
        recorder = Recorder(self.out_dir, self.config, self.ranks, self.state.step)
        if self.state.step < self.config.max_steps:
            recorder.record_start(self.policy, changes)
        return recorder

    def train(self, recorder: Recorder, watch: StopWatch, progress: ProgressFactory) -> FitResult:
        """Take steps until the last one or until there is a reason to stop."""
        config, state = self.config, self.state
        share = Share(config.accumulation, self.ranks.rank, self.ranks.num_ranks)
        steps = stream_steps(
            self.task.training_batches,
            state.position,
            share,
            num_workers=config.num_workers,
            pin_memory=self.ranks.device.type == "cuda",
        )
        reason: Reason | None = None
        with progress("training", config.max_steps) as bar:
            bar.skip(state.step)
            while state.step < config.max_steps and reason is None:
                recorder.start_step()
                plan, batches = next(steps)
                outcome = self._step(plan, batches)
                recorder.after_step(state, outcome)
                improved = self._validate_if_due(recorder)
                reason = self._reason_to_stop(watch)
                if improved or reason or self._save_due(plan, recorder):
                    self._save(recorder)
                bar.advance(1, **recorder.progress_fields(outcome))
        return self._finish(recorder, reason or "finished")

    def _step(self, plan: StepPlan, batches: list[Any]) -> StepOutcome:
        state = self.state
        try:
            outcome = self.runner.run(state.step + 1, plan, batches)
        except NonFiniteError as error:
            raise NonFiniteError(f"{error}. {self._where_to_go_on()}") from error
        state.step += 1
        state.position = plan.after
        state.samples += outcome.samples
        if outcome.applied:
            self.trained.average(state.step)
        else:
            state.skipped_steps += 1
        return outcome

    def _validate_if_due(self, recorder: Recorder) -> bool:
        """Validate the mean weights where it is time; return whether they are the best so far."""
        state, every = self.state, self.config.validate_every
        if every is None or (state.step % every and state.step < self.config.max_steps):
            return False
        try:
            with self.trained.averaged():
                losses = validate(self.task, self.ranks, self.policy, self.config.seed)
        except NonFiniteError as error:
            raise NonFiniteError(f"{error}. {self._where_to_go_on()}") from error
        if not losses:
            return False
        recorder.after_validation(state, losses)
        improved = state.best is None or losses["loss"] < state.best.loss
        if improved:
            state.best = Best(state.step, losses["loss"])
        return improved

    def _reason_to_stop(self, watch: StopWatch) -> Reason | None:
        reasons = self.ranks.gather(watch.reason)
        return next((reason for reason in reasons if reason is not None), None)

    def _save_due(self, plan: StepPlan, recorder: Recorder) -> bool:
        rules, step = self.config.checkpoint, self.state.step
        if step == self.config.max_steps:
            return True
        if rules.every_steps is not None and step % rules.every_steps == 0:
            return True
        if rules.every_epochs is not None and plan.ends_epoch:
            return (plan.epoch + 1) % rules.every_epochs == 0
        minutes = recorder.minutes_since_save()
        return rules.every_minutes is not None and minutes >= rules.every_minutes

    def _save(self, recorder: Recorder) -> None:
        if self.ranks.is_first:
            state = {**self.state.to_json(), "settings": self.settings}
            state["config"] = self.config.model_dump(mode="json")
            checkpoint = self.trained.checkpoint(state)
            self.archive.save(checkpoint, keep_last=self.config.checkpoint.keep_last)
        self.saved_step = self.state.step
        recorder.after_save()

    def _finish(self, recorder: Recorder, status: Literal["finished"] | Reason) -> FitResult:
        assert self.saved_step == self.state.step
        state, path = self.state, self.archive.path(self.state.step)
        recorder.write_summary(state, status, path, self.trained.num_parameters)
        self.ranks.gather(None)  # no process leaves before the files are complete
        epoch, is_first = state.position.epoch, self.ranks.is_first
        return FitResult(status, state.step, epoch, path, state.best, is_first)

    def _where_to_go_on(self) -> str:
        if self.saved_step is None:
            return "Nothing was saved yet; lower the learning rate or look at these samples"
        return (
            f"The latest checkpoint is intact: {self.archive.path(self.saved_step)}; the same "
            "command would meet the same samples: remove them, or lower the learning rate"
        )
