"""The import rules hold for the package, and each of them can fail."""

from pathlib import Path

import pytest

from tests.house.import_rules import (
    cycle_problems,
    foreign_import_problems,
    layer_problems,
    models_in_training_or_evaluation,
    unreached_modules,
)
from tests.house.source_tree import Module, hold, read_modules

SOURCE = Path(__file__).resolve().parents[2] / "src"


@pytest.fixture(scope="module")
def package() -> list[Module]:
    modules = read_modules(SOURCE)
    assert "foldwright.runtime.files" in {module.name for module in modules}
    return modules


def test_imports_go_down(package):
    hold(layer_problems(package, "foldwright"))


def test_training_and_evaluation_know_no_model(package):
    hold(models_in_training_or_evaluation(package, "foldwright"))


def test_no_cycles(package):
    hold(cycle_problems(package))


def test_every_module_is_reached(package):
    hold(unreached_modules(package, "foldwright"))


def test_biotite_behind_one_adapter(package):
    home = "foldwright.structure.io.biotite_adapter"
    hold(foreign_import_problems(package, "biotite", home))


@pytest.mark.parametrize(
    "line",
    [
        "import pkg.data.store",
        "from pkg.data import store",
        "from pkg.data.store import open_store",
        "from ..data import store",
        "def late():\n    from ..data.store import open_store",
        "PLACE = 'pkg.data.store:open_store'",
    ],
)
def test_upward_import_is_found_in_every_form(tree, line):
    modules = tree({"geometry/rigid.py": line, "data/__init__.py": "", "data/store.py": ""})
    (problem,) = layer_problems(modules, "pkg")
    assert problem.startswith("pkg.geometry.rigid:")
    assert problem.endswith("imports up: pkg.data.store")


def test_sideways_import_is_found_and_downward_is_not(tree):
    sideways = tree({"nn/a.py": "import pkg.diffusion.b", "diffusion/b.py": "import pkg.chem.c"})
    assert layer_problems([*sideways], "pkg") == ["pkg.nn.a:1 imports sideways: pkg.diffusion.b"]
    assert layer_problems(tree({"chem/c.py": "", "nn/a.py": "import pkg.chem.c"}), "pkg") == []


def test_module_outside_every_room_is_found(tree):
    modules = tree({"helpers.py": "import pkg.chem.c", "chem/c.py": ""})
    assert layer_problems(modules, "pkg") == ["pkg.helpers is in no room of the layer list"]


def test_training_that_imports_a_model_is_found(tree):
    modules = tree(
        {
            "training/loop.py": "from pkg.models.backbone import task",
            "models/backbone/task.py": "",
            "models/backbone/__init__.py": "",
        }
    )
    assert models_in_training_or_evaluation(modules, "pkg") == [
        "pkg.training.loop:1 imports a model: pkg.models.backbone.task"
    ]


def test_cycle_is_found_through_a_third_module_and_inside_functions(tree):
    modules = tree(
        {
            "nn/a.py": "import pkg.nn.b",
            "nn/b.py": "def f():\n    from . import c",
            "nn/c.py": "from pkg.nn.a import x",
            "nn/d.py": "import pkg.nn.a",
        }
    )
    assert cycle_problems(modules) == [
        "pkg.nn.a imports itself through pkg.nn.b",
        "pkg.nn.a imports itself through pkg.nn.c",
        "pkg.nn.b imports itself through pkg.nn.c",
    ]


def test_package_that_gathers_its_modules_is_no_cycle(tree):
    modules = tree(
        {"nn/__init__.py": "from pkg.nn.a import A", "nn/a.py": "import pkg.nn.b", "nn/b.py": ""}
    )
    assert cycle_problems(modules) == []


def test_unreached_module_is_found_even_with_a_friend(tree):
    modules = tree(
        {
            "cli/main.py": "COMMANDS = ('pkg.cli.doctor:doctor_command',)",
            "cli/doctor.py": "from ..runtime import files",
            "runtime/files.py": "",
            "runtime/lonely.py": "import pkg.runtime.friend",
            "runtime/friend.py": "X = 1",
        }
    )
    assert unreached_modules(modules, "pkg") == ["pkg.runtime.friend", "pkg.runtime.lonely"]


def test_foreign_import_is_found_anywhere_but_at_home(tree):
    modules = tree(
        {
            "structure/io/adapter.py": "import biotite.structure",
            "geometry/a.py": "def f():\n    from biotite.structure import io",
            "geometry/b.py": "import biotitelike",
        }
    )
    assert foreign_import_problems(modules, "biotite", "pkg.structure.io.adapter") == [
        "pkg.geometry.a:2 imports biotite.structure; only pkg.structure.io.adapter may"
    ]
