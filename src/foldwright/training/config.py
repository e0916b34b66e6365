"""Settings of a training run."""

from typing import Literal

from pydantic import Field, model_validator

from foldwright.runtime.config import Config


class OptimiserConfig(Config):
    """AdamW; the fused kernel is taken where the device has it."""

    learning_rate: float = Field(default=1e-4, gt=0, description="peak learning rate")
    betas: tuple[float, float] = Field(default=(0.9, 0.999), description="decay of both moments")
    epsilon: float = Field(default=1e-8, gt=0, description="added to the root of the second moment")
    weight_decay: float = Field(
        default=0.0, ge=0, description="decoupled decay of matrices; vectors and scalars have none"
    )

    @model_validator(mode="after")
    def _betas_in_range(self) -> "OptimiserConfig":
        if not all(0.0 <= beta < 1.0 for beta in self.betas):
            raise ValueError(f"betas must lie in [0, 1): found {list(self.betas)}")
        return self


class ScheduleConfig(Config):
    """Learning rate over steps: warm-up, hold, then decay to a floor."""

    kind: Literal["constant", "cosine", "linear"] = Field(
        default="constant", description="course of the learning rate after warm-up"
    )
    warmup_steps: int = Field(
        default=0, ge=0, description="steps of linear rise from zero to the peak"
    )
    hold_steps: int = Field(
        default=0, ge=0, description="steps at the peak before the decay begins"
    )
    decay_end: int | None = Field(
        default=None, ge=1, description="step at which the floor is reached; max_steps by default"
    )
    floor: float = Field(
        default=0.0, ge=0, le=1, description="final share of the peak learning rate"
    )


class EmaConfig(Config):
    """Running mean of the weights, used for validation and for what is shipped."""

    decay: float = Field(default=0.999, ge=0, lt=1, description="share kept per step; 0 is off")


class CheckpointConfig(Config):
    """When a checkpoint is written, and which are kept; the last step and a new best always are."""

    every_steps: int | None = Field(default=1000, ge=1, description="steps between checkpoints")
    every_epochs: int | None = Field(default=None, ge=1, description="epochs between checkpoints")
    every_minutes: float | None = Field(
        default=15.0, gt=0, description="minutes between checkpoints"
    )
    keep_last: int = Field(
        default=3, ge=1, description="newest checkpoints kept, the best one aside"
    )


class FitConfig(Config):
    """How a task is trained."""

    seed: int = Field(0, ge=0, description="seed of every random number of the run")
    max_steps: int = Field(..., ge=1, description="optimiser steps of the whole run")
    max_minutes: float | None = Field(
        None, gt=0, description="stop cleanly after this time; the same command goes on later"
    )
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1 or mps")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto", description="arithmetic of the network; weights and optimiser stay float32"
    )
    accumulation: int = Field(1, ge=1, description="batches per optimiser step and process")
    gradient_clip: float | None = Field(1.0, gt=0, description="largest norm of the gradient")
    optimiser: OptimiserConfig = Field(OptimiserConfig(), description="update rule")
    schedule: ScheduleConfig = Field(ScheduleConfig(), description="learning rate over steps")
    ema: EmaConfig = Field(EmaConfig(), description="mean of the weights")
    checkpoint: CheckpointConfig = Field(CheckpointConfig(), description="checkpoints")
    validate_every: int | None = Field(
        1000, ge=1, description="steps between validations; null is off"
    )
    log_every: int = Field(50, ge=1, description="steps between lines of metrics")
    tensorboard: bool = Field(False, description="write metrics for TensorBoard too")
    num_workers: int = Field(0, ge=0, description="processes that load batches; 0 loads in place")
    compile: bool = Field(False, description="compile the network; needs a C++ compiler")
    allow_changes: tuple[str, ...] = Field(
        (), description="settings that may differ from those of the checkpoint resumed from"
    )

    @model_validator(mode="after")
    def _schedule_fits(self) -> "FitConfig":
        flat = self.schedule.warmup_steps + self.schedule.hold_steps
        if self.schedule.kind != "constant" and flat >= self.decay_end:
            raise ValueError(
                f"schedule.warmup_steps + schedule.hold_steps = {flat} leave no step for the "
                f"{self.schedule.kind} decay, which ends at step {self.decay_end}; lower them or "
                "raise schedule.decay_end"
            )
        return self

    @property
    def decay_end(self) -> int:
        """Step at which the learning rate reaches its floor."""
        return self.schedule.decay_end or self.max_steps
