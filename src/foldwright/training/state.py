"""Where a run is: plain values that a checkpoint keeps."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from foldwright.training.metrics import Window
from foldwright.training.stream import Position


@dataclass(frozen=True)
class Best:
    """The lowest validation loss so far, and its step."""

    step: int
    loss: float


@dataclass
class RunState:
    """Steps done, the place in the data, the best result, and sums not yet written."""

    step: int = 0
    position: Position = field(default_factory=Position)
    samples: int = 0
    skipped_steps: int = 0
    best: Best | None = None
    window: Window = field(default_factory=Window)

    def to_json(self) -> dict[str, Any]:
        """Return JSON values that `from_json` reads."""
        return {
            "step": self.step,
            "position": asdict(self.position),
            "samples": self.samples,
            "skipped_steps": self.skipped_steps,
            "best": asdict(self.best) if self.best else None,
            "window": self.window.state(),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "RunState":
        """Read what `to_json` returned; other keys are left alone."""
        return cls(
            step=values["step"],
            position=Position(**values["position"]),
            samples=values["samples"],
            skipped_steps=values["skipped_steps"],
            best=Best(**values["best"]) if values["best"] else None,
            window=Window(values["window"]),
        )
