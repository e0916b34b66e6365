"""The loss against hand-made answers."""

import math

import torch

from foldwright.models.peptide.config import PeptideLossConfig
from foldwright.models.peptide.inputs import Condition
from foldwright.models.peptide.loss import (
    draw_peptide_noise,
    mean_square,
    peptide_loss,
    residue_error,
)
from tests.models.peptide.small_peptide_models import LABELS, batch_of, small_model


def test_mean_square_is_over_real_residues() -> None:
    found = torch.zeros(2, 3, 4)
    wanted = torch.full((2, 3, 4), 2.0)
    wanted[0, 2] = 1e6
    mask = torch.tensor([[True, True, False], [True, False, False]])
    wanted[1, 0] = 1.0
    assert mean_square(found, wanted, mask).item() == (4 + 4 + 1) / 3
    assert mean_square(found, wanted, torch.zeros_like(mask)).item() == 0.0


def test_cross_entropy_of_a_uniform_guess_and_padding() -> None:
    batch = batch_of("ACDEF", "KK")
    logits = torch.zeros(2, 5, 20)
    assert abs(residue_error(logits, batch.tokens, batch.mask).item() - math.log(20)) < 1e-6
    logits.scatter_(2, batch.tokens.where(batch.mask, 0)[..., None], 50.0)
    logits[~batch.mask] = -1e6
    assert residue_error(logits, batch.tokens, batch.mask).item() < 1e-6


def test_noise_is_drawn_for_real_residues_and_is_repeatable() -> None:
    model, config = small_model(), PeptideLossConfig(decoder_signal=0.4)
    batch = batch_of(*("ACDEFGHIK", "KK") * 50)
    first, second = (
        draw_peptide_noise(model, batch, config, torch.Generator().manual_seed(3)) for _ in range(2)
    )
    assert torch.equal(first.noise, second.noise)
    assert torch.equal(first.timestep, second.timestep)
    assert first.noise[~batch.mask].abs().sum() == 0
    assert abs(float(first.noise[batch.mask].std()) - 1.0) < 0.02
    assert float(first.signal.min()) >= 0.4
    assert first.timestep.min() >= 0
    assert first.timestep.max() == 49


def test_the_total_is_the_weighted_sum_and_padding_has_no_part() -> None:
    model = small_model()
    config = PeptideLossConfig(residue_weight=0.3, decoder_weight=0.7)
    alone, padded = batch_of("ACDEF"), batch_of("ACDEF", width=13)
    reports = []
    for batch in (alone, padded):
        noised = draw_peptide_noise(model, alone, config, torch.Generator().manual_seed(0))
        wide = torch.zeros(1, batch.tokens.shape[1], 16)
        x0, noise = wide.clone(), wide.clone()
        x0[:, :5], noise[:, :5] = noised.x0, noised.noise
        whole = type(noised)(x0, noise, noised.timestep, noised.signal)
        told = Condition.null(1, batch.tokens.shape[1], len(LABELS))
        reports.append(peptide_loss(model, batch, whole, told, config, self_condition=True))
    parts = reports[0].parts
    wanted = parts["error"] + 0.3 * parts["residue"] + 0.7 * parts["decoder"]
    assert torch.allclose(reports[0].total, wanted)
    assert torch.allclose(reports[0].total, reports[1].total, atol=1e-5)


def test_gradients_reach_denoiser_and_decoder_and_not_the_frozen_encoder() -> None:
    model = small_model()
    batch = batch_of("ACDEF", "KKLLKK")
    config = PeptideLossConfig()
    noised = draw_peptide_noise(model, batch, config, torch.Generator().manual_seed(0))
    peptide_loss(
        model, batch, noised, batch.condition, config, self_condition=True
    ).total.backward()
    assert all(p.grad is None for p in model.encoder.parameters())
    for name, parameter in (*model.denoiser.named_parameters(), *model.decoder.named_parameters()):
        if "structure" not in name:
            assert parameter.grad is not None
            assert float(parameter.grad.abs().max()) > 0, name
