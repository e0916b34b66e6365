"""The peptide model in the package: complete, documented, and of some use."""

from importlib import resources

import pytest
import torch

from foldwright.models.peptide.inputs import Condition
from foldwright.models.peptide.model import PeptideModel
from foldwright.models.peptide.weights import BUNDLED, PeptideCard, load_peptide_weights
from foldwright.runtime.weight_files import read_weights
from foldwright.sequence.residues import decode_sequence
from tests.models.peptide.small_peptide_models import batch_of

FOLDER = resources.files("foldwright.models.peptide") / "bundled"
MAGAININ = "GIGKFLHSAKKFGKAFVGEIMNS"


@pytest.fixture(scope="module")
def model() -> PeptideModel:
    return load_peptide_weights("bundled")


def test_the_card_says_where_the_weights_come_from() -> None:
    with resources.as_file(FOLDER / f"{BUNDLED}.safetensors") as path:
        card, _ = read_weights(PeptideCard, path)
        assert path.stat().st_size <= 16e6
    assert card.provenance["licence"] == "Apache-2.0"
    assert card.provenance["peptides"]["train"] > 60000
    assert card.provenance["step"] > 1000
    assert card.provenance["encoder"]["step"] > 1000
    assert "store" not in card.provenance["experiment"]
    assert len(card.labels) == 27
    for log in ("metrics.csv", "encoder-metrics.csv"):
        assert (FOLDER / f"{BUNDLED}.{log}").read_text().startswith("step,")


def test_training_peptides_are_known(model: PeptideModel) -> None:
    assert model.seen is not None
    assert len(model.seen.digests) > 60000
    assert model.seen.holds(MAGAININ)
    assert not model.seen.holds(MAGAININ[:-1] + "A")
    assert int(model.seen.inactive[model.labels.index("antimicrobial")]) > 10000


def test_latents_are_normalised_and_read_back(model: PeptideModel) -> None:
    batch = batch_of(MAGAININ, "ACDEFGHIKLMNPQRSTVWY")
    with torch.no_grad():
        latents = model.encode(batch.tokens, batch.mask)
        found = model.decode(latents, batch.mask).argmax(-1)
    assert torch.equal(found[batch.mask], batch.tokens[batch.mask])
    real = latents[batch.mask]
    assert 0.7 < float(real.std()) < 1.3
    assert float(real.mean(0).abs().mean()) < 0.5


def test_noise_is_taken_off_a_peptide(model: PeptideModel) -> None:
    batch = batch_of(MAGAININ)
    null = Condition.null(1, len(MAGAININ), len(model.labels))
    share = model.process.alpha_bar(torch.arange(model.process.num_timesteps))
    timestep = (share - 0.1).abs().argmin()[None]
    noise = torch.randn(1, len(MAGAININ), 128, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        latents = model.encode(batch.tokens, batch.mask)
        x = model.process.add_noise(latents, noise, timestep)
        clean = model.denoise(x, batch.mask, timestep, null).x0
        text = decode_sequence(model.decode(clean, batch.mask).argmax(-1)[0].numpy())
    assert float((clean - latents).square().mean()) < 0.5 * float(latents.square().mean())
    assert sum(a == b for a, b in zip(text, MAGAININ, strict=True)) >= 18


def test_lengths_of_each_activity_are_known(model: PeptideModel) -> None:
    counts = model.length_counts
    assert counts.shape == (28, 51)
    assert counts[:, :5].sum() == 0
    assert int(counts[model.labels.index("antimicrobial")].sum()) > 25000
    assert int(counts[-1].sum()) > 60000
