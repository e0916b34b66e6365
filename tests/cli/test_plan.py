"""`foldwright plan` on the command line."""

import json
from pathlib import Path

from foldwright.cli.main import main

SMALL = """
store: nowhere
genie: {max_length: 64, c_s: 8, c_p: 8, c_position: 8, c_timestep: 8, num_pair_layers: 2,
  c_triangle_multiplication: 8, num_structure_layers: 2, c_ipa: 4, num_ipa_heads: 2}
training: {max_steps: 1}
"""


def test_predicts_a_training_and_a_denoising_step(tmp_path: Path, capsys) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(SMALL)
    command = ["plan", "--config", str(path), "--device", "cpu", "--json"]
    peaks = []
    for batch in ("1", "3"):
        assert main([*command, "--length", "40", "--batch", batch]) == 0
        plan = json.loads(capsys.readouterr().out)
        assert [step["what"] for step in plan["steps"]] == ["training step", "denoising step"]
        assert plan["steps"][0]["recomputed_pair_layers"] == "0 of 2"
        assert plan["steps"][0]["fits"] is True
        assert all(step["cpu_seconds"] > 0 for step in plan["steps"])
        assert plan["probed_lengths"] == [40]
        peaks.append([step["peak_mb"] for step in plan["steps"]])
    assert peaks[0][0] > peaks[0][1] > 0
    assert all(2 < three / one <= 3 for one, three in zip(*peaks, strict=True))


def test_mistakes_are_one_line_each(tmp_path: Path, capsys) -> None:
    assert main(["plan", "--length", "2"]) == 2
    assert "expected at least 4 residues" in capsys.readouterr().err
    command = ["plan", "--length", "64", "--config", str(tmp_path / "c"), "--weights", "bundled"]
    assert main(command) == 2
    assert "name one of them, not both" in " ".join(capsys.readouterr().err.split())
