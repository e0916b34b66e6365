"""Where the first NaN or infinity of a training step is."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor, nn

from foldwright.runtime.finite import NonFinite, first_non_finite
from foldwright.training.task import LossReport


def find_non_finite(module: nn.Module, compute: Callable[[], LossReport]) -> str:
    """Compute a loss again and say which tensor went bad first.

    In the order in which they come about: weights, what enters and leaves each part of the
    network, terms of the loss, gradients. The gradients of the module are cleared first.

    Args:
        module: the network that `compute` calls.
        compute: the loss of one batch, with the random numbers of the failed step.
    """
    bad = first_non_finite({f"weight {n}": p for n, p in module.named_parameters()})
    if bad is not None:
        return str(bad)
    seen: list[NonFinite] = []
    handles = [h for name, part in module.named_modules() for h in _watch(name, part, seen)]
    try:
        report = compute()
    finally:
        for handle in handles:
            handle.remove()
    if seen:
        return str(seen[0])
    parts = {f"loss term {name}": value for name, value in report.parts.items()}
    bad = first_non_finite({**parts, "the loss": report.total}) or _bad_gradient(module, report)
    return str(bad) if bad else "nothing when computed again: the device may be at fault"


def _watch(name: str, part: nn.Module, seen: list[NonFinite]) -> Iterator[Any]:
    label = name or "the network"

    def look_at_input(_: nn.Module, arguments: Any, keywords: Any) -> None:
        _note(f"input of {label}", arguments, seen)
        _note(f"input of {label}", keywords, seen)

    def look_at_output(_: nn.Module, arguments: Any, output: Any) -> None:
        _note(f"output of {label}", output, seen)

    yield part.register_forward_pre_hook(look_at_input, with_kwargs=True)
    yield part.register_forward_hook(look_at_output)


def _note(label: str, value: Any, seen: list[NonFinite]) -> None:
    if not seen:
        bad = first_non_finite({f"{label}{path}": tensor for path, tensor in _tensors(value)})
        if bad is not None:
            seen.append(bad)


def _bad_gradient(module: nn.Module, report: LossReport) -> NonFinite | None:
    module.zero_grad()
    report.total.backward()
    named = {f"gradient of {n}": p.grad for n, p in module.named_parameters()}
    return first_non_finite({name: grad for name, grad in named.items() if grad is not None})


def _tensors(value: Any, path: str = "") -> Iterator[tuple[str, Tensor]]:
    """Every tensor in nested tuples, mappings and records, with its path."""
    if isinstance(value, Tensor):
        yield path, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _tensors(inner, f"{path}[{key}]")
    elif isinstance(value, tuple | list):
        for index, inner in enumerate(value):
            yield from _tensors(inner, f"{path}[{index}]" if len(value) > 1 else path)
    elif is_dataclass(value):
        for field in fields(value):
            yield from _tensors(getattr(value, field.name), f"{path}.{field.name}")
