"""Which number format the network computes in, decided once and with its reason."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal

import torch

from foldwright.runtime.errors import InputError

_SCALED = "float16: small gradients would vanish, so the loss is scaled up"


@dataclass(frozen=True)
class PrecisionPolicy:
    """The format of matrix products; weights, optimiser and losses stay float32."""

    dtype: torch.dtype
    device_type: str
    reason: str

    @property
    def scales_loss(self) -> bool:
        """Whether gradients are kept in range by scaling the loss."""
        return self.dtype == torch.float16

    def autocast(self) -> AbstractContextManager[None]:
        """Return the context in which the network is called."""
        enabled = self.dtype != torch.float32
        return torch.autocast(
            self.device_type, dtype=self.dtype if enabled else None, enabled=enabled
        )

    def scaler(self) -> torch.amp.GradScaler:
        """Return the scaler of the loss, which passes everything through unless needed."""
        return torch.amp.GradScaler(self.device_type, enabled=self.scales_loss)


def choose_precision(
    name: Literal["auto", "fp32", "bf16", "fp16"], device: torch.device
) -> PrecisionPolicy:
    """Return the policy of a name; `auto` takes bf16, else fp16 on CUDA, and fp32 elsewhere.

    Raises:
        InputError: the device cannot train in the format named.
    """
    if name == "auto":
        return _best(device)
    reasons = {
        "fp32": (torch.float32, "asked for"),
        "bf16": (torch.bfloat16, "asked for; range of float32, so no loss scaling"),
        "fp16": (torch.float16, f"asked for; {_SCALED}"),
    }
    dtype, reason = reasons[name]
    if dtype == torch.bfloat16 and device.type == "cuda" and not torch.cuda.is_bf16_supported():
        raise InputError(
            f"precision bf16 was asked for, but {torch.cuda.get_device_name(device)} cannot; "
            "write precision: fp16 or fp32"
        )
    if device.type == "mps" and dtype != torch.float32:
        raise InputError(f"precision {name} was asked for, but mps trains in fp32; write fp32")
    return PrecisionPolicy(dtype, device.type, reason)


def _best(device: torch.device) -> PrecisionPolicy:
    if device.type != "cuda":
        return PrecisionPolicy(torch.float32, device.type, f"auto: {device.type} gains nothing")
    if torch.cuda.is_bf16_supported(including_emulation=False):
        reason = "auto: bfloat16 has the range of float32 and this GPU computes in it"
        return PrecisionPolicy(torch.bfloat16, "cuda", reason)
    return PrecisionPolicy(torch.float16, "cuda", f"auto: no bfloat16 on this GPU; {_SCALED}")
