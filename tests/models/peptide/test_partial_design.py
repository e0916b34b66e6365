"""Templates, analogues and interpolations, with a model whose answer is known."""

from typing import Any

import pytest
import torch

from foldwright.models.peptide.draws import Draw, draw_sequences, timesteps_of
from foldwright.models.peptide.model_facts import ModelFacts
from foldwright.models.peptide.partial_design import (
    Analogue,
    Interpolation,
    Template,
    start_latents,
    template_projection,
)
from foldwright.models.peptide.peptide_settings import (
    PeptidePlan,
    PeptideSettings,
    resolve_peptide_settings,
)
from foldwright.sequence.residues import encode_sequence
from tests.models.peptide.mixture_model import LABELS, MixtureModel, random_model

CPU = torch.device("cpu")
FIRST, SECOND = "ACDEFGHIKL", "MNPQRSTVWYKK"


@pytest.fixture
def model() -> MixtureModel:
    return MixtureModel()


def _plan(model: Any, **changes: Any) -> PeptidePlan:
    facts = ModelFacts(LABELS, model.max_length, model.process.num_timesteps, model.length_counts)
    return resolve_peptide_settings(PeptideSettings(steps=20, **changes), facts)


def _made(model: Any, plan: PeptidePlan, indices: range = range(8)) -> list[str]:
    draws = [Draw(index, 0, plan.length_of(1, index), 1) for index in indices]
    made = draw_sequences(model, plan, draws, device=CPU, on_step=lambda timestep: None)
    return [one or "" for one in made]


def _identity(one: str, other: str) -> float:
    return sum(a == b for a, b in zip(one, other, strict=True)) / len(one)


@pytest.mark.parametrize("make", [MixtureModel, random_model])
@pytest.mark.parametrize("sampler", ["ddpm", "ddim", "dpm", "sde"])
def test_fixed_residues_stay_and_the_others_vary(make: Any, sampler: Any) -> None:
    model = make()
    made = _made(model, _plan(model, template="KXXLLXXW", sampler=sampler, temperature=0.3))
    for one in made:
        assert (one[0], one[3:5], one[7]) == ("K", "LL", "W")
    assert len(set(made)) > 4


def test_the_network_sees_the_fixed_residues(model: MixtureModel) -> None:
    """At low noise the noisy latents at the fixed places are those of the template."""
    plan = _plan(model, template="KXXLLXXW", sampler="dpm")
    seen: list[torch.Tensor] = []
    denoise = model.denoise

    def watch(x: torch.Tensor, *rest: Any) -> Any:
        seen.append(x)
        return denoise(x, *rest)

    model.denoise = watch  # type: ignore[method-assign]
    _made(model, plan)
    closest = model.decode(seen[-1], torch.ones(8, 8, dtype=torch.bool)).argmax(-1)
    fixed = [0, 3, 4, 7]
    wanted = torch.from_numpy(encode_sequence("KLLW"))
    assert torch.equal(closest[:, fixed], wanted.expand(8, -1))
    tokens = torch.from_numpy(encode_sequence("KAALLAAW"))[None]
    latents = model.encode(tokens, torch.ones_like(tokens, dtype=torch.bool))[:, fixed]
    torch.testing.assert_close(seen[-1][:, fixed], latents.expand(8, -1, -1), rtol=0, atol=1.2)


def test_projection_takes_latents_in_context() -> None:
    """A real encoder: the fixed places get what it makes of them beside the open ones."""
    model = random_model()
    template = Template("KXXLLXXW")
    x0 = torch.randn(2, 8, model.latent_dim, generator=torch.Generator().manual_seed(1))
    held = template_projection(template, model.encode, model.decode)(x0, torch.tensor([3, 3]))
    open_places, fixed = [1, 2, 5, 6], [0, 3, 4, 7]
    assert torch.equal(held[:, open_places], x0[:, open_places])
    tokens = model.decode(x0, torch.ones(2, 8, dtype=torch.bool)).argmax(-1)
    tokens[:, fixed] = torch.from_numpy(encode_sequence("KLLW"))
    latents = model.encode(tokens, torch.ones(2, 8, dtype=torch.bool))
    torch.testing.assert_close(held[:, fixed], latents[:, fixed])
    assert not torch.equal(latents[0, fixed], latents[1, fixed])


def test_analogues_grow_apart_as_less_is_kept(model: MixtureModel) -> None:
    means = []
    for similarity in (1.0, 0.9, 0.5, 0.05):
        plan = _plan(model, analogue_of=FIRST, similarity=similarity)
        made = _made(model, plan)
        assert {len(one) for one in made} == {len(FIRST)}
        means.append(sum(_identity(one, FIRST) for one in made) / 8)
    assert means[0] == 1.0
    assert means == sorted(means, reverse=True)
    assert means[-1] < 0.3


def test_an_analogue_starts_where_its_noise_is(model: MixtureModel) -> None:
    steps = timesteps_of(model, _plan(model, analogue_of=FIRST, similarity=0.6)).tolist()
    assert steps[0] == round(0.4 * 49)
    assert steps == sorted(set(steps), reverse=True)
    whole = timesteps_of(model, _plan(model)).tolist()
    assert steps[1:] == [step for step in whole if step < steps[0]]


def test_an_analogue_can_keep_residues(model: MixtureModel) -> None:
    plan = _plan(model, analogue_of=FIRST, template="XXXXXWWXXX", similarity=0.3)
    made = _made(model, plan)
    assert all(one[5:7] == "WW" for one in made)
    assert len(set(made)) > 1


def test_positions_between_two_fill_the_way_evenly() -> None:
    between = Interpolation(FIRST, SECOND, 0.9)
    assert [between.position(index) for index in range(5)] == [0.5, 0.25, 0.75, 0.125, 0.625]
    places = sorted(between.position(index) for index in range(15))
    assert places == [(index + 1) / 16 for index in range(15)]
    assert {between.length_of(index) for index in range(15)} == {10, 11, 12}


def test_peptides_between_two_are_made_of_both(model: MixtureModel) -> None:
    other = FIRST[::-1]
    plan = _plan(model, between=(FIRST, other), similarity=0.98)
    made = dict(zip(range(8), _made(model, plan), strict=True))
    between = plan.partial
    assert isinstance(between, Interpolation)
    order = sorted(made, key=between.position)
    assert _identity(made[order[0]], FIRST) > 0.8
    assert _identity(made[order[-1]], other) > 0.8
    pairs = list(zip(FIRST, other, strict=True))
    kept = [letter in pairs[place] for one in made.values() for place, letter in enumerate(one)]
    assert sum(kept) > 0.8 * len(kept)


def test_mixed_latents_keep_their_size(model: MixtureModel) -> None:
    indices = [
        index for index in range(20) if Interpolation(FIRST, SECOND, 0.9).length_of(index) == 11
    ]
    latents = start_latents(Interpolation(FIRST, SECOND, 0.9), indices, model.encode)
    assert latents is not None
    assert latents.shape == (len(indices), 11, model.latent_dim)
    sizes = latents.norm(dim=-1) / model.latent_dim**0.5
    torch.testing.assert_close(sizes, torch.ones_like(sizes))


def test_a_start_is_the_peptide_itself(model: MixtureModel) -> None:
    latents = start_latents(Analogue(FIRST, 0.5), [0, 1], model.encode)
    assert latents is not None
    tokens = model.decode(latents, torch.ones(2, 10, dtype=torch.bool)).argmax(-1)
    assert torch.equal(tokens, torch.from_numpy(encode_sequence(FIRST)).expand(2, -1))
    assert start_latents(None, [0], model.encode) is None
    assert start_latents(Template("KXX"), [0], model.encode) is None
