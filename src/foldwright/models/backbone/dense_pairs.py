"""One layer of the dense pair track, as in Genie."""

from jaxtyping import Bool, Float
from torch import Tensor, nn

from foldwright.models.backbone.config import GenieConfig
from foldwright.models.backbone.pair_transitions import dense_transition
from foldwright.models.backbone.row_attention import row_attentions
from foldwright.nn.dropout import AxisDropout
from foldwright.nn.transition import PairTransition
from foldwright.nn.triangle import TriangleMultiplication


class PairTransformLayer(nn.Module):
    """Triangle updates and transition with residuals and row or column dropout."""

    tri_att_start: nn.Module
    tri_att_end: nn.Module

    def __init__(self, config: GenieConfig) -> None:
        super().__init__()
        c_z = config.c_p
        if config.triangle_multiplication:
            c_hidden = config.c_triangle_multiplication
            self.tri_mul_out = TriangleMultiplication(c_z, c_hidden, direction="outgoing")
            self.tri_mul_in = TriangleMultiplication(c_z, c_hidden, direction="incoming")
        if attentions := row_attentions(config):
            self.tri_att_start = attentions["tri_att_start"]
            self.tri_att_end = attentions["tri_att_end"]
        self.row_dropout = AxisDropout(config.pair_dropout, shared_dim=1)
        self.column_dropout = AxisDropout(config.pair_dropout, shared_dim=2)
        self.pair_transition = dense_transition(config)
        self._multiplies = config.triangle_multiplication
        self._attends = bool(config.triangle_attention)

    def forward(
        self, z: Float[Tensor, "b n n c"], mask: Bool[Tensor, "b n"]
    ) -> Float[Tensor, "b n n c"]:
        """Apply the updates in the order of Genie."""
        real = mask[:, :, None] & mask[:, None]
        if self._multiplies:
            z = self.tri_mul_out.residual(z, real, self.row_dropout.draw(z))
            z = self.tri_mul_in.residual(z, real, self.row_dropout.draw(z))
        if self._attends:
            z = z + self.row_dropout(self.tri_att_start(z, real))
            z = z + self.column_dropout(self.tri_att_end(z, real))
        if isinstance(self.pair_transition, PairTransition):
            return self.pair_transition.residual(z, real)
        return (z + self.pair_transition(z, real)) * real[..., None]
