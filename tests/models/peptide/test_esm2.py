"""ESM-2 as an encoder, with a tiny random checkpoint made here."""

import builtins
from pathlib import Path

import pytest
import torch

from foldwright.models.peptide.config import EncoderConfig, PeptideConfig
from foldwright.models.peptide.esm2 import Esm2Encoder, LowRankLinear, adapt_attention
from foldwright.models.peptide.model import PeptideModel
from foldwright.runtime.errors import FoldwrightError, InputError
from foldwright.sequence.residues import RESIDUES
from tests.models.peptide.small_peptide_models import LABELS, batch_of

ALPHABET = "<cls> <pad> <eos> <unk> L A G V S E R T I D P K Q N F Y M H W C X B U Z O . - <null_1>"
TOKENS = [*ALPHABET.split(), "<mask>"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    transformers = pytest.importorskip("transformers", reason="the extra plm is not installed")
    config = transformers.EsmConfig(
        vocab_size=33,
        mask_token_id=32,
        pad_token_id=1,
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        position_embedding_type="rotary",
        token_dropout=True,
        emb_layer_norm_before=False,
    )
    folder = tmp_path_factory.mktemp("esm")
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        transformers.EsmForMaskedLM(config).save_pretrained(folder)
    return folder


def config_of(checkpoint: Path, adaptation: str = "frozen") -> EncoderConfig:
    return EncoderConfig(
        kind="esm2", checkpoint=str(checkpoint), adaptation=adaptation, lora_rank=4
    )


def test_states_are_those_of_the_checkpoint(checkpoint) -> None:
    transformers = pytest.importorskip("transformers")
    encoder = Esm2Encoder(config_of(checkpoint)).eval()
    assert encoder.latent_dim == 24
    original = transformers.EsmForMaskedLM.from_pretrained(checkpoint).eval()
    batch = batch_of("ACDEFGHIKLMNPQRSTVWY", "KLL")
    ids = torch.tensor([[0, *(TOKENS.index(letter) for letter in batch.names[1]), 2]])
    with torch.no_grad():
        wanted = original.esm(ids).last_hidden_state[:, 1:-1]
        logits = original.lm_head(wanted)
        found = encoder(batch.tokens, batch.mask)
        guessed = encoder.predict(batch.tokens, batch.mask)
    assert torch.allclose(found[1, :3], wanted[0], atol=1e-5)
    order = [TOKENS.index(letter) for letter in RESIDUES]
    assert torch.allclose(guessed[1, :3], logits[0, :, order], atol=1e-5)


@pytest.mark.parametrize("adaptation", ["frozen", "lora", "unfrozen"])
def test_what_training_moves(checkpoint, adaptation) -> None:
    config = PeptideConfig(max_length=20, encoder=config_of(checkpoint, adaptation))
    model = PeptideModel(config, LABELS).train()
    assert model.latent_dim == 24
    trained = {n for n, p in model.encoder.named_parameters() if p.requires_grad}
    if adaptation == "frozen":
        assert trained == set()
    elif adaptation == "lora":
        # two layers, three maps each, two factors
        assert len(trained) == 12
        assert all(name.endswith((".down", ".up")) for name in trained)
    else:
        assert trained == {n for n, _ in model.encoder.named_parameters()}
    batch = batch_of("ACDEF")
    latents = model.encode(batch.tokens, batch.mask)
    assert latents.requires_grad == (adaptation != "frozen")


def test_low_rank_updates_begin_as_nothing() -> None:
    base = torch.nn.Linear(6, 5)
    adapted = LowRankLinear(base, rank=2, scale=4.0)
    x = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))
    assert torch.equal(adapted(x), base(x))
    adapted.up.data.fill_(1.0)
    assert torch.allclose(adapted(x) - base(x), 2.0 * (x @ adapted.down.T).sum(-1, keepdim=True))
    with pytest.raises(InputError, match="no linear map named query, key, value"):
        adapt_attention(torch.nn.Sequential(base), 2, 4.0)


def test_a_missing_checkpoint_is_named(tmp_path) -> None:
    pytest.importorskip("transformers")
    with pytest.raises(InputError, match="Give a folder that holds the checkpoint"):
        Esm2Encoder(config_of(tmp_path / "none"))


def test_a_missing_library_names_the_extra(monkeypatch, tmp_path) -> None:
    real = builtins.__import__

    def refuse(name, *arguments, **options):
        if name == "transformers":
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(FoldwrightError, match=r"pip install 'foldwright\[plm\]'"):
        Esm2Encoder(config_of(tmp_path))
