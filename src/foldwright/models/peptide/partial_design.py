"""Peptides that begin with given ones: fixed residues, analogues, and the way between two."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from foldwright.models.peptide.inputs import MASK_TOKEN
from foldwright.runtime.errors import Problem
from foldwright.sequence.residues import RESIDUES, encode_sequence

ANY = "X"
"""Letter of a template where any residue may stand."""

_DEFAULT_SIMILARITY = 0.8

Encode = Callable[[Tensor, Tensor], Tensor]
"""`encode(tokens (b, n), mask (b, n)) -> latents (b, n, d)`."""

Decode = Callable[[Tensor, Tensor], Tensor]
"""`decode(latents (b, n, d), mask (b, n)) -> logits (b, n, 20)`."""


@dataclass(frozen=True)
class Template:
    """Residues that stay, and `X` where any may stand; `start` is what the others begin as."""

    text: str
    start: "Analogue | None" = None
    option: str = "--template"

    @property
    def similarity(self) -> float:
        """That of the peptide it begins as, if it does."""
        return 0.0 if self.start is None else self.start.similarity

    @property
    def texts(self) -> tuple[str, ...]:
        """The template."""
        return (self.text,)

    def length_of(self, index: int) -> int:
        """Residues of the template."""
        return len(self.text)

    def tokens(self) -> Int64[Tensor, " n"]:
        """Tokens, the mask token where any residue may stand."""
        places = [MASK_TOKEN if letter == ANY else RESIDUES.index(letter) for letter in self.text]
        return torch.tensor(places, dtype=torch.int64)


@dataclass(frozen=True)
class Analogue:
    """Variants of one peptide."""

    text: str
    similarity: float
    option: str = "--analogue-of"

    @property
    def texts(self) -> tuple[str, ...]:
        """The peptide."""
        return (self.text,)

    def length_of(self, index: int) -> int:
        """Residues of the peptide."""
        return len(self.text)


@dataclass(frozen=True)
class Interpolation:
    """Peptides between two; of `first` there is less and less as `position` rises to 1."""

    first: str
    second: str
    similarity: float
    option: str = "--between"

    @property
    def texts(self) -> tuple[str, ...]:
        """Both peptides."""
        return (self.first, self.second)

    @property
    def single_length(self) -> bool:
        """Whether both are equally long."""
        return len(self.first) == len(self.second)

    def position(self, index: int) -> float:
        """Where peptide `index` lies between the two: 1/2, 1/4, 3/4, 1/8, 5/8, ...

        It depends on the number alone, so that a run can grow. Van der Corput 1935.
        """
        place, share, number = 0.0, 0.5, index + 1
        while number:
            place += share * (number & 1)
            number, share = number >> 1, share / 2
        return place

    def length_of(self, index: int) -> int:
        """Residues of peptide `index`, between those of the two."""
        share = self.position(index)
        return round((1 - share) * len(self.first) + share * len(self.second))


PartialDesign = Template | Analogue | Interpolation
"""A run that begins with given residues (`texts`, by `option`). Of the way from noise the share
`similarity` is skipped; 0 begins with noise alone."""


def read_partial(
    *,
    template: str | None,
    analogue_of: str | None,
    between: tuple[str, str] | None,
    similarity: float | None,
    problems: list[Problem],
) -> PartialDesign | None:
    """Check the options for peptides that begin with given ones; what is wrong joins `problems`."""
    before = len(problems)
    kept = _DEFAULT_SIMILARITY if similarity is None else similarity
    if similarity is not None and analogue_of is None and between is None:
        message = "is read by --analogue-of and --between; leave it out, or write one of them"
        problems.append(Problem("--similarity", message))
    if not 0 < kept <= 1:
        message = f"must be above 0 (nothing kept) and at most 1 (all kept): got {kept:g}"
        problems.append(Problem("--similarity", message))
    if between is not None and (template is not None or analogue_of is not None):
        other = "--template" if template is not None else "--analogue-of"
        problems.append(Problem("--between", f"cannot go with {other}; leave one of them out"))
    for option, text in (
        ("--analogue-of", analogue_of),
        *(("--between", text) for text in between or ()),
    ):
        problems += _letter_problems(option, text, RESIDUES)
    problems += _letter_problems("--template", template, RESIDUES + ANY)
    if template is not None and analogue_of is not None and len(template) != len(analogue_of):
        message = f"has {len(template)} residues, --analogue-of {len(analogue_of)}; make them equal"
        problems.append(Problem("--template", message))
    if template is not None and ANY not in template:
        message = f"leaves nothing open: got {template}; write {ANY} where any residue may stand"
        problems.append(Problem("--template", message))
    if len(problems) > before:
        return None
    start = None if analogue_of is None else Analogue(analogue_of, kept)
    if template is not None:
        return Template(template, start)
    return start if between is None else Interpolation(*between, kept)


def _letter_problems(option: str, text: str | None, allowed: str) -> list[Problem]:
    if text == "":
        return [Problem(option, "is empty; write a peptide")]
    for place, letter in enumerate(text or ""):
        if letter not in allowed:
            message = f"residue {place + 1} of {text} is {letter!r}; expected one of {allowed}"
            return [Problem(option, message)]
    return []


def start_latents(
    partial: PartialDesign | None, indices: Sequence[int], encode: Encode
) -> Float[Tensor, "b n d"] | None:
    """Latents that a batch of peptides of one length begins with; None for noise alone."""
    if isinstance(partial, Template):
        partial = partial.start
    if isinstance(partial, Analogue):
        latents = _encode_text(partial.text, encode)
        return latents.expand(len(indices), -1, -1)
    if isinstance(partial, Interpolation):
        ends = [_encode_text(text, encode) for text in (partial.first, partial.second)]
        rows = []
        for index in indices:
            share, length = partial.position(index), partial.length_of(index)
            first, second = (_stretch(end, length) for end in ends)
            rows.append(_mix(first, second, share))
        return torch.cat(rows)
    return None


def template_projection(
    template: Template, encode: Encode, decode: Decode
) -> Callable[[Float[Tensor, "b n d"], Int64[Tensor, " b"]], Float[Tensor, "b n d"]]:
    """Correct clean estimates so that they hold the residues of a template.

    The latent of a residue depends on its neighbours, so what the open places hold by now is read,
    the fixed residues are put between, and the whole is encoded; the fixed places take these
    latents. Samplers follow the corrected estimate, which replaces the noisy latents with it.
    """

    def project(x0: Float[Tensor, "b n d"], timestep: Int64[Tensor, "b"]) -> Tensor:
        mask = torch.ones(x0.shape[:2], dtype=torch.bool, device=x0.device)
        tokens = hold_template(template, decode(x0, mask).argmax(-1))
        fixed = _fixed_places(template).to(x0.device)
        return torch.where(fixed[:, None], encode(tokens, mask), x0)

    return project


def hold_template(template: Template, tokens: Int64[Tensor, "b n"]) -> Int64[Tensor, "b n"]:
    """Put the fixed residues of a template into read tokens."""
    given = template.tokens().to(tokens.device)
    return torch.where(given == MASK_TOKEN, tokens, given)


def _fixed_places(template: Template) -> Bool[Tensor, " n"]:
    return template.tokens() != MASK_TOKEN


def _encode_text(text: str, encode: Encode) -> Float[Tensor, "1 n d"]:
    tokens = torch.from_numpy(encode_sequence(text))[None]
    return encode(tokens, torch.ones_like(tokens, dtype=torch.bool))


def _mix(
    first: Float[Tensor, "1 n d"], second: Float[Tensor, "1 n d"], share: float
) -> Float[Tensor, "1 n d"]:
    """Weighted mean with the length of the vectors it is made of: a plain mean is too short."""
    mean = (1 - share) * first + share * second
    wanted = (1 - share) * first.norm(dim=-1) + share * second.norm(dim=-1)
    return mean * (wanted / mean.norm(dim=-1).clamp(min=1e-12))[..., None]


def _stretch(latents: Float[Tensor, "1 n d"], length: int) -> Float[Tensor, "1 m d"]:
    """Latents of the nearest residue at each place of a peptide of another length."""
    places = torch.linspace(0, latents.shape[1] - 1, length).round().long()
    return latents[:, places.to(latents.device)]
