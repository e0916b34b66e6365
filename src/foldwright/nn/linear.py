"""Linear layers with the initialisations of protein networks."""

import math
from typing import Literal

import torch
from torch import nn

LinearInit = Literal["default", "relu", "glorot", "gating", "final"]


class Linear(nn.Linear):
    """Affine map with a named initialisation (Jumper et al. 2021, supplement 1.11.4).

    `default` is LeCun and `relu` He normal, both truncated at two standard deviations; `glorot` is
    uniform; `gating` starts every gate open at sigmoid(1); `final` starts at zero, so that a
    residual branch begins as the identity.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        *,
        bias: bool = True,
        init: LinearInit = "default",
    ) -> None:
        self._init = init
        super().__init__(channels_in, channels_out, bias=bias)

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw the weights of the named initialisation."""
        if self.weight.is_meta:  # no values to set, and drawing them takes seconds per network
            return
        if self.bias is not None:
            self.bias.fill_(1.0 if self._init == "gating" else 0.0)
        if self._init in ("gating", "final"):
            self.weight.zero_()
        elif self._init == "glorot":
            nn.init.xavier_uniform_(self.weight)
        else:
            gain = 2.0 if self._init == "relu" else 1.0
            # 0.8796 is the standard deviation of a unit normal cut at two of its deviations.
            std = math.sqrt(gain / self.in_features) / 0.87962566103423978
            nn.init.trunc_normal_(self.weight, std=std, a=-2 * std, b=2 * std)
