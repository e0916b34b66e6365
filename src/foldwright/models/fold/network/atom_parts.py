"""The atom encoders and the atom decoder as a configuration wants them."""

from foldwright.models.fold.config import FoldConfig
from foldwright.models.fold.network.atom_encoder import AtomDecoder, AtomEncoder, AtomReference
from foldwright.models.fold.network.atom_transformer import AtomTransformer
from foldwright.models.fold.network.attention import hide_empty_keys, window_logits


def atom_encoder(config: FoldConfig, token_channels: int, *, num_blocks: int) -> AtomEncoder:
    """Build an encoder of atoms into tokens."""
    sizes = config.atoms
    reference = AtomReference(
        sizes.channels,
        sizes.pair_channels,
        hides_unplaced_atoms=config.differences.hides_unplaced_atoms,
    )
    return AtomEncoder(
        reference,
        _transformer(config, num_blocks),
        channels=sizes.channels,
        token_channels=token_channels,
    )


def atom_decoder(config: FoldConfig, token_channels: int, *, num_blocks: int) -> AtomDecoder:
    """Build the decoder of tokens into atoms."""
    transformer = _transformer(config, num_blocks)
    return AtomDecoder(transformer, channels=config.atoms.channels, token_channels=token_channels)


def _transformer(config: FoldConfig, num_blocks: int) -> AtomTransformer:
    sizes = config.atoms
    return AtomTransformer(
        sizes.channels,
        sizes.pair_channels,
        num_heads=sizes.num_heads,
        width=sizes.width,
        num_blocks=num_blocks,
        mask=window_logits if config.differences.windows == "given" else hide_empty_keys,
        chained_norms=config.differences.chained_norms,
    )
