"""Which attention along rows and columns of the pair representation a pair layer has."""

from foldwright.models.backbone.config import GenieConfig
from foldwright.nn.axial_attention import AxialAttention
from foldwright.nn.triangle import TriangleAttention


def row_attentions(config: GenieConfig) -> dict[str, TriangleAttention | AxialAttention]:
    """Blocks of attention around the starting and the ending node, by name; none if not asked for.

    They are dense blocks; the layers of other representations run them on theirs.
    """
    if not config.triangle_attention:
        return {}
    axial = config.triangle_attention == "axial"
    kind: type[AxialAttention | TriangleAttention] = AxialAttention if axial else TriangleAttention
    c_z, c_head, heads = config.c_p, config.c_triangle_attention, config.num_triangle_heads
    return {
        "tri_att_start": kind(c_z, c_head, num_heads=heads, node="starting"),
        "tri_att_end": kind(c_z, c_head, num_heads=heads, node="ending"),
    }
