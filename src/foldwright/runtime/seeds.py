"""Seeds that depend on what is computed, not on when or in which order."""

import hashlib
import json

import torch


def derive_seed(seed: int, *parts: int | str) -> int:
    """Return the seed of one part of a run: 63 bits of a SHA-256 over `seed` and `parts`.

    The number 1 and the text "1" are different parts, and ("a", "b") differs from ("ab",).
    """
    message = json.dumps([seed, *parts], separators=(",", ":"), ensure_ascii=True)
    return int.from_bytes(hashlib.sha256(message.encode()).digest()[:8], "big") >> 1


def make_generator(
    seed: int, *parts: int | str, device: torch.device | str = "cpu"
) -> torch.Generator:
    """Return a generator with the seed `derive_seed(seed, *parts)`, or `seed` itself without parts.

    So `make_generator(derive_seed(s, i))` and `make_generator(s, i)` give the same numbers. torch
    uses the low 32 bits of a seed on the CPU: two of 10,000 items share their numbers with a
    chance of about 1 %.
    """
    value = derive_seed(seed, *parts) if parts else seed
    return torch.Generator(device=device).manual_seed(value)
