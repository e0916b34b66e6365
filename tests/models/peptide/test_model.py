"""The peptide model: padding, conditions, statistics, and peptides there and back."""

import pytest
import torch

from foldwright.models.peptide.features import NUM_FEATURES, StructureFeatures
from foldwright.models.peptide.inputs import Condition
from foldwright.models.peptide.model import PeptideModel
from tests.models.peptide.small_peptide_models import LABELS, batch_of, small_config, small_model

TIME = torch.tensor([30])


def noise_for(batch, seed: int = 0) -> torch.Tensor:
    x = torch.randn(*batch.tokens.shape, 16, generator=torch.Generator().manual_seed(seed))
    return x * batch.mask[..., None]


@torch.no_grad()
def test_padding_never_matters() -> None:
    model = small_model()
    alone, padded = batch_of("ACDEF"), batch_of("ACDEF", width=14)
    x = noise_for(alone)
    wide = torch.zeros(1, 14, 16)
    wide[:, :5] = x
    assert torch.allclose(
        model.encode(padded.tokens, padded.mask)[:, :5],
        model.encode(alone.tokens, alone.mask),
        atol=1e-5,
    )
    short = model.denoise(x, alone.mask, TIME, alone.condition, x)
    long = model.denoise(wide, padded.mask, TIME, padded.condition, wide)
    assert torch.allclose(long.x0[:, :5], short.x0, atol=1e-5)
    assert torch.allclose(
        model.decode(wide, padded.mask)[:, :5], model.decode(x, alone.mask), atol=1e-5
    )
    for value in (long.x0, long.epsilon, model.encode(padded.tokens, padded.mask)):
        assert value[:, 5:].abs().sum() == 0
    assert model.decode(wide, padded.mask)[:, 5:].abs().sum() == 0


@torch.no_grad()
def test_rows_without_residues_are_zero_and_finite() -> None:
    model = small_model()
    batch = batch_of("ACDEF", "KKLLK")
    mask = batch.mask.clone()
    mask[1] = False
    latents = model.encode(batch.tokens, mask)
    x = noise_for(batch) * mask[..., None]
    prediction = model.denoise(x, mask, TIME.repeat(2), batch.condition)
    for value in (latents, prediction.x0, prediction.epsilon, model.decode(x, mask)):
        assert torch.isfinite(value).all()
        assert value[1].abs().sum() == 0
        assert value[0].abs().sum() > 0


@torch.no_grad()
def test_everything_asked_for_reaches_the_denoiser() -> None:
    model = small_model()
    batch = batch_of("ACDEF")
    x = noise_for(batch)

    def estimate(condition: Condition, time: int = 30, mask=batch.mask) -> torch.Tensor:
        return model.denoise(x, mask, torch.tensor([time]), condition).x0

    null = Condition.null(1, 5, len(LABELS))
    base = estimate(null)
    seen = [base]
    for label in range(len(LABELS)):
        for value in (0, 1):
            labels = null.labels.clone()
            labels[0, label] = value
            seen.append(estimate(Condition(labels, null.secondary)))
    for code in (1, 2, 3):
        seen.append(estimate(Condition(null.labels, torch.full_like(null.secondary, code))))
    features = StructureFeatures(
        torch.ones(1, 5, NUM_FEATURES), torch.zeros_like(null.secondary), batch.mask
    )
    seen.append(estimate(Condition(null.labels, null.secondary, features)))
    seen.append(estimate(null, time=10))
    for first in range(len(seen)):
        for second in range(first):
            assert float((seen[first] - seen[second]).abs().max()) > 1e-4


@torch.no_grad()
def test_no_structure_and_an_empty_one_are_the_same_to_the_bit() -> None:
    model = small_model()
    batch = batch_of("ACDEF", "KKLLK")
    x = noise_for(batch)
    empty = StructureFeatures(
        torch.zeros(2, 5, NUM_FEATURES), torch.zeros(2, 5, dtype=torch.int64), ~batch.mask
    )
    null = Condition.null(2, 5, len(LABELS))
    without = model.denoise(x, batch.mask, TIME.repeat(2), null).x0
    with_it = model.denoise(
        x, batch.mask, TIME.repeat(2), Condition(null.labels, null.secondary, empty)
    ).x0
    assert torch.equal(with_it, without)


@torch.no_grad()
def test_an_earlier_estimate_is_used_or_refused() -> None:
    batch = batch_of("ACDEF")
    x = noise_for(batch)
    model = small_model()
    first = model.denoise(x, batch.mask, TIME, batch.condition).x0
    zero = model.denoise(x, batch.mask, TIME, batch.condition, torch.zeros_like(x)).x0
    assert torch.equal(first, zero)
    again = model.denoise(x, batch.mask, TIME, batch.condition, first).x0
    assert float((again - first).abs().max()) > 1e-4
    plain = small_model(self_conditioning=False)
    with pytest.raises(ValueError, match="no self-conditioning"):
        plain.denoise(x, batch.mask, TIME, batch.condition, first)


@pytest.mark.parametrize("kind", ["x0", "epsilon", "v"])
@torch.no_grad()
def test_clean_estimate_and_noise_are_one_belief(kind) -> None:
    model = small_model(prediction=kind)
    batch = batch_of("ACDEF", "KKLL")
    x = noise_for(batch)
    time = torch.tensor([5, 40])
    found = model.denoise(x, batch.mask, time, batch.condition)
    share = model.process.alpha_bar(time).float()[:, None, None]
    assert torch.allclose(
        share.sqrt() * found.x0 + (1 - share).sqrt() * found.epsilon, x, atol=1e-5
    )


def test_a_frozen_encoder_stays_and_an_unfrozen_one_moves_its_statistics() -> None:
    batch = batch_of("ACDEF", "KKLLKKLL")
    frozen = PeptideModel(small_config(), LABELS).train()
    latents = frozen.encode(batch.tokens, batch.mask)
    assert not latents.requires_grad
    assert frozen.latent_mean.abs().sum() == 0
    config = small_config()
    moved = config.model_copy(
        update={"encoder": config.encoder.model_copy(update={"adaptation": "unfrozen"})}
    )
    model = PeptideModel(moved, LABELS).train()
    raw = model.encoder(batch.tokens, batch.mask).detach()[batch.mask]
    for _ in range(50):
        latents = model.encode(batch.tokens, batch.mask)
    assert latents.requires_grad
    old = 0.99**50
    torch.testing.assert_close(model.latent_mean, (1 - old) * raw.mean(0), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(model.latent_std, old + (1 - old) * raw.std(0), rtol=1e-4, atol=1e-5)
    before = model.latent_mean.clone()
    model.eval().encode(batch.tokens, batch.mask)
    assert torch.equal(model.latent_mean, before)
