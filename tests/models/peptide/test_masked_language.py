"""Hiding residues, and learning to restore them."""

import torch

from foldwright.models.peptide.batches import PeptideBatchConfig
from foldwright.models.peptide.config import EncoderConfig
from foldwright.models.peptide.encoder import BundledEncoder, latent_statistics
from foldwright.models.peptide.inputs import MASK_TOKEN
from foldwright.models.peptide.masked_language import (
    MaskedLanguageTask,
    MaskingConfig,
    hide_residues,
)
from tests.models.peptide.small_peptide_models import batch_of, make_peptide_store

CONFIG = EncoderConfig(channels=16, num_layers=1, num_heads=2)


def encoder() -> BundledEncoder:
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return BundledEncoder(CONFIG, 16)


def test_shares_of_hidden_residues() -> None:
    tokens = torch.arange(20).repeat(400, 2)
    mask = torch.ones_like(tokens, dtype=torch.bool)
    mask[:, 30:] = False
    config = MaskingConfig(least=0.2, most=0.4)
    shown, chosen = hide_residues(tokens, mask, config, torch.Generator().manual_seed(0))
    assert not chosen[:, 30:].any()
    assert abs(float(chosen[:, :30].float().mean()) - 0.3) < 0.02
    assert abs(float((shown[chosen] == MASK_TOKEN).float().mean()) - 0.8) < 0.02
    # a tenth is another residue, of which one in twenty is the same by chance
    assert abs(float((shown[chosen] == tokens[chosen]).float().mean()) - 0.105) < 0.02
    assert torch.equal(shown[~chosen], tokens[~chosen])


def test_every_peptide_has_something_to_restore() -> None:
    batch = batch_of("ACDEF", "K", "GG")
    config = MaskingConfig(least=0.01, most=0.01)
    generator = torch.Generator().manual_seed(1)
    for _ in range(20):
        _, chosen = hide_residues(batch.tokens, batch.mask, config, generator)
        assert bool(chosen.any(dim=1).all())
        assert not bool((chosen & ~batch.mask).any())


def test_latents_do_not_depend_on_padding() -> None:
    model = encoder()
    alone, padded = batch_of("ACDEF"), batch_of("ACDEF", width=12)
    assert torch.allclose(
        model(padded.tokens, padded.mask)[:, :5], model(alone.tokens, alone.mask), atol=1e-6
    )


def test_a_missing_residue_that_its_neighbour_tells_is_learned(tmp_path) -> None:
    store = make_peptide_store(tmp_path)
    model = encoder()
    masking = MaskingConfig(least=0.3, most=0.3)
    task = MaskedLanguageTask(model, CONFIG, store, PeptideBatchConfig(), masking, seed=0)
    assert task.num_peptides == {"train": 24, "val": 8}
    assert sum(task.batch_size(batch) for batch in task.training_batches(0)) == 24
    batch = batch_of(*("ACACACAC", "CACACACA", "KLKLKLKL", "LKLKLKLK") * 4)
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    first = last = 0.0
    for step in range(60):
        report = task.loss(batch, torch.Generator().manual_seed(step))
        optimiser.zero_grad()
        report.total.backward()
        optimiser.step()
        first, last = (first or report.total.item()), report.total.item()
    assert first > 2.0
    assert last < 0.3
    assert report.parts["restored"] > 0.9


def test_statistics_are_those_of_real_residues() -> None:
    generator = torch.Generator().manual_seed(0)
    latents = 3.0 + 2.0 * torch.randn(8, 10, 4, generator=generator)
    mask = torch.rand(8, 10, generator=generator) < 0.6
    spoiled = latents.masked_fill(~mask[..., None], 1e6)
    mean, std = latent_statistics([(spoiled[:3], mask[:3]), (spoiled[3:], mask[3:])])
    assert torch.allclose(mean, latents[mask].mean(0), atol=1e-5)
    assert torch.allclose(std, latents[mask].std(0, correction=0), atol=1e-5)
