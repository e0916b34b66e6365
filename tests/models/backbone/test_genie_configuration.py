"""Flat text settings of Genie: what is read, what is named as having no effect, what is refused."""

import json
from pathlib import Path

import pytest

from foldwright.models.backbone.config import DiffusionConfig, GenieConfig
from foldwright.models.backbone.genie_configuration import (
    GenieConfiguration,
    read_genie_configuration,
)
from foldwright.runtime.errors import InputError
from tests.models.backbone.genie_reference import genie_config

PUBLISHED = """\
name scope_l_128
maximumNumResidues 128
datasetNames scope
seed 100

numTimesteps 1000
schedule cosine
templateType v1
singleFeatureDimension 128
includeTriangularAttention False
"""


def read(tmp_path: Path, text: str) -> GenieConfiguration:
    path = tmp_path / "configuration"
    path.write_text(text, encoding="utf-8")
    return read_genie_configuration(path)


def refusal(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        read(tmp_path, text)
    return [str(problem).replace(f"{tmp_path}/", "") for problem in caught.value.problems]


def test_published_settings(tmp_path: Path) -> None:
    found = read(tmp_path, PUBLISHED)
    assert found.genie == GenieConfig(max_length=128)
    assert found.diffusion == DiffusionConfig()
    assert found.run == {"name": "scope_l_128", "datasetNames": "scope", "seed": "100"}
    assert found.without_effect == ()


def test_settings_of_all_published_checkpoints(shared_golden: Path, tmp_path: Path) -> None:
    """The parsed settings of the three published files mean the same here."""
    stored = json.loads((shared_golden / "genie" / "state_dict_shapes.json").read_text())
    for name, entry in stored["configurations"].items():
        settings = entry["config"]
        length = settings["io"]["max_n_res"]
        text = f"name {name}\nmaximumNumResidues {length}\nnumTimesteps 1000\nschedule cosine\n"
        assert read(tmp_path, text).genie == genie_config(settings["model"], max_length=length)


def test_every_key_of_the_network_has_its_place(tmp_path: Path) -> None:
    """Distinct values, so that two exchanged keys show."""
    text = """\
        maximumNumResidues 99
        singleFeatureDimension 11
        pairFeatureDimension 12
        positionalEmbeddingDimension 13
        timestepEmbeddingDimension 14
        relativePositionK 15
        numPairTransformLayers 16
        includeTriangularMultiplicativeUpdate False
        includeTriangularAttention True
        triangularMultiplicativeHiddenDimension 17
        triangularAttentionHiddenDimension 18
        triangularAttentionNumHeads 19
        triangularDropout 0.2
        pairTransitionN 20
        numStructureLayers 21
        numStructureBlocks 22
        ipaHiddenDimension 23
        ipaNumHeads 24
        ipaNumQkPoints 25
        ipaNumVPoints 26
        ipaDropout 0.3
        numStructureTransitionLayers 27
        structureTransitionDropout 0.4
        numTimesteps 28
        schedule linear
        """
    found = read(tmp_path, text)
    assert found.genie == GenieConfig(
        max_length=99, c_s=11, c_p=12, c_position=13, c_timestep=14, relative_position_clip=15,
        num_pair_layers=16, triangle_multiplication=False, triangle_attention=True,
        c_triangle_multiplication=17, c_triangle_attention=18, num_triangle_heads=19,
        pair_dropout=0.2, pair_expansion=20, num_structure_layers=21, num_structure_blocks=22,
        c_ipa=23, num_ipa_heads=24, num_qk_points=25, num_v_points=26, ipa_dropout=0.3,
        num_transition_layers=27, transition_dropout=0.4,
    )  # fmt: skip
    assert found.diffusion == DiffusionConfig(num_steps=28, schedule="linear")


def test_silent_file_means_what_genie_assumes(tmp_path: Path) -> None:
    found = read(tmp_path, "name x\nmaximumNumResidues None\nnumStructureLayers None\n")
    assert found.genie == GenieConfig(max_length=128)


def test_last_of_a_repeated_key_counts(tmp_path: Path) -> None:
    text = "numStructureLayers 3\nnumStructureLayers 4\n"
    assert read(tmp_path, text).genie.num_structure_layers == 4


def test_lines_without_effect_are_named(tmp_path: Path) -> None:
    text = """\
# two words, a comment
#  too
name x
numStructureLayers 8 # deeper
numStructureLayer 9
batchsize 4
zebra 1
lonely
"""
    found = read(tmp_path, text)
    assert found.genie.num_structure_layers == 5
    assert found.without_effect == (
        "line 4: 4 words instead of `key value`: 'numStructureLayers 8 # deeper'",
        "line 8: 1 words instead of `key value`: 'lonely'",
        "unknown key numStructureLayer; did you mean numStructureLayers?",
        "unknown key batchsize; did you mean batchSize?",
        "unknown key zebra",
    )


def test_wrong_types_are_collected(tmp_path: Path) -> None:
    text = """\
singleFeatureDimension wide
ipaDropout ten%
includeTriangularAttention yes
numTimesteps 1e3
schedule square
templateType v2
"""
    assert refusal(tmp_path, text) == [
        "configuration: singleFeatureDimension: found 'wide', expected int",
        "configuration: includeTriangularAttention: found 'yes', expected bool",
        "configuration: ipaDropout: found 'ten%', expected float",
        "configuration: numTimesteps: found '1e3', expected int",
        "configuration: templateType: only template v1 exists",
        "configuration: schedule: expected cosine or linear",
    ]


def test_values_out_of_range_are_collected_by_the_names_in_the_file(tmp_path: Path) -> None:
    text = "singleFeatureDimension 0\ntriangularDropout 1.5\nnumTimesteps 1\n"
    assert refusal(tmp_path, text) == [
        "configuration: singleFeatureDimension: found 0, expected greater than or equal to 1",
        "configuration: triangularDropout: found 1.5, expected less than 1",
        "configuration: numTimesteps: found 1, expected greater than or equal to 2",
    ]


@pytest.mark.parametrize("content", [b"", b"one\nthree words here\n", b"\n\n"])
def test_file_without_settings(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "configuration"
    path.write_bytes(content)
    with pytest.raises(InputError, match="holds no line of the form `key value`"):
        read_genie_configuration(path)


def test_file_that_is_no_text_or_absent(tmp_path: Path) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x00\x9c")
    for path in (binary, tmp_path / "absent", tmp_path):
        with pytest.raises(InputError, match="is no readable text file; expected lines"):
            read_genie_configuration(path)


LONG = """\
maximumNumResidues 1024
zFactorRank 2
kNeighbors 24
useMHCMode True
mhcExpansionRate 3
mhcSinkhornIters 7
mhcAlphaInit 0.01
useModelCompression True
compressionStrategy universal
useAxialAttention True
useGradientCheckpointing True
"""


def test_settings_of_the_long_sequence_program(tmp_path: Path) -> None:
    found = read(tmp_path, LONG)
    assert found.genie == GenieConfig(
        max_length=1024, pair="factorized", pair_rank=2, pair_neighbours=24, residual_streams=3,
        sinkhorn_iterations=7, layer_sharing="universal", triangle_attention="axial",
        checkpoint_pairs=True,
    )  # fmt: skip
    assert found.without_effect == ("unknown key mhcAlphaInit",)


def test_streams_and_sharing_need_their_switch(tmp_path: Path) -> None:
    text = LONG.replace("useMHCMode True", "").replace("useModelCompression True", "")
    found = read(tmp_path, text)
    assert (found.genie.residual_streams, found.genie.layer_sharing) == (1, "none")
    assert found.genie.sinkhorn_iterations == GenieConfig().sinkhorn_iterations
    assert found.without_effect == (
        "mhcExpansionRate 3: counts with useMHCMode True, in the original too",
        "mhcSinkhornIters 7: counts with useMHCMode True, in the original too",
        "compressionStrategy universal: counts with useModelCompression",
        "unknown key mhcAlphaInit",
    )
    assert read(tmp_path, "useMHCMode True").genie.residual_streams == 4


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("useFlashMode True", "factorized"),
        ("useFactorizedPairs True", "factorized"),
        ("zFactorRank 2\nuseSparseKNN True\nkNeighbors 32", "sparse"),
        ("useFlashMode False\nuseSparseKNN None", "dense"),
    ],
)
def test_pairs_of_the_long_sequence_program(tmp_path: Path, text: str, pair: str) -> None:
    assert read(tmp_path, text).genie.pair == pair


def test_words_of_the_long_sequence_program_that_mean_nothing(tmp_path: Path) -> None:
    text = "useMHCMode yes\nuseModelCompression True\ncompressionStrategy block\n"
    assert refusal(tmp_path, text) == [
        "configuration: useMHCMode: found 'yes', expected bool",
        "configuration: compressionStrategy: found 'block', expected none, universal, alternating "
        "or block(k), for instance block(2)",
    ]
