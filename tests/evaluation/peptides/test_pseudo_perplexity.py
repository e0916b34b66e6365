import pytest
import torch

from foldwright.evaluation.peptides.pseudo_perplexity import pseudo_perplexities

HIDDEN = 20


def test_a_model_that_guesses_has_20():
    found = pseudo_perplexities(
        ["ACDEF", "K", "WWW"], lambda tokens, mask: torch.zeros(*tokens.shape, 20), hidden_token=20
    )
    assert found == pytest.approx([20.0] * 3)


def test_each_residue_is_hidden_once_and_alone():
    seen = []

    def predict(tokens, mask):
        seen.extend(tokens.tolist())
        assert mask.all()
        return torch.zeros(*tokens.shape, 20)

    pseudo_perplexities(["ACD", "CC"], predict, hidden_token=HIDDEN)
    assert sorted(seen) == sorted([[20, 1, 2], [0, 20, 2], [0, 1, 20], [20, 1], [1, 20]])


def test_the_likelihood_is_that_of_the_hidden_residue_alone():
    # a model that repeats what it sees and bets on A with e^2 where a residue is hidden
    def predict(tokens, mask):
        logits = torch.nn.functional.one_hot(tokens.clamp(max=19), 20).float() * 50
        logits[tokens == HIDDEN] = torch.zeros(20).index_fill(0, torch.tensor([0]), 2.0)
        return logits

    total = float(torch.tensor([2.0] + [0.0] * 19).exp().sum())
    found = pseudo_perplexities(["AAAA", "AC", "CA", "CD"], predict, hidden_token=HIDDEN)
    right, wrong = total / float(torch.tensor(2.0).exp()), total
    mixed = (right * wrong) ** 0.5
    assert found == pytest.approx([right, mixed, mixed, wrong])


def test_many_peptides_of_one_length_are_cut_into_calls():
    calls = []

    def predict(tokens, mask):
        calls.append(len(tokens))
        return torch.zeros(*tokens.shape, 20)

    assert len(pseudo_perplexities(["KL" * 10] * 60, predict, hidden_token=HIDDEN)) == 60
    assert max(calls) <= 512
    assert sum(calls) == 60 * 20
