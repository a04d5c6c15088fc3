"""The import rules of docs/design.md, read from the source text, so that no dependency is needed."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "spatial_mllm_ros"

# A folder imports only from folders of a lower rank, and from itself. Folders of one rank do not know each other.
RANK = {
    "frames": 0,
    "geometry": 1,
    "sampling": 2,
    "model": 3,
    "runtime": 3,
    "reasoning": 4,
    "training": 5,
    "bench": 6,
    "ros": 7,
    "cli": 7,
}
MAY_KNOW = {("runtime", "model")}  # side by side: the runtime exports the model's modules, not the other way round
FOR_ALL = {"errors.py", "parameters.py", "__init__.py"}

# Libraries that only some folders may import, wherever in a file the import stands.
ONLY_IN = {
    "rclpy": {"ros"},
    "sensor_msgs": {"ros"},
    "std_msgs": {"ros"},
    "torch": {"model", "runtime", "reasoning", "bench", "cli"},
    "transformers": {"model", "bench", "cli"},
    "tensorrt": {"runtime"},
    "onnxruntime": {"runtime"},
    "mujoco": {"training"},
    "cv_bridge": {"frames"},
    "rosbags": {"frames", "training"},
}
# Libraries that may be missing: never imported when a module of ours is.
OPTIONAL = {"cv_bridge", "mujoco", "onnxruntime", "rosbags", "tensorrt", "tensorrt_rtx", "tf2_ros", "torchvision"}


def imports(path):
    """Yield (line, dotted name, stands at the top level) of every import in a file; relative ones made absolute."""
    package = ("spatial_mllm_ros", *path.relative_to(PACKAGE).parent.parts)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top_level = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, id(node) in top_level) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            parent = [*base, *(node.module.split(".") if node.module else ())]
            yield from ((node.lineno, ".".join([*parent, alias.name]), id(node) in top_level) for alias in node.names)


def stage_of(path):
    return path.relative_to(PACKAGE).parts[0]


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_folder_imports_only_what_it_may(path):
    stage = stage_of(path)
    for line, name, stands_on_top in imports(path):
        where = f"{path.relative_to(ROOT)}:{line}"
        library, *rest = name.split(".")
        if library in ONLY_IN:
            assert stage in ONLY_IN[library], f"{where}: only {sorted(ONLY_IN[library])} may import {library}"
        if library in OPTIONAL:
            assert not stands_on_top, f"{where}: {library} may be missing; import it where it is used"
        if library == "spatial_mllm_ros" and rest and rest[0] in RANK:
            other = rest[0]
            assert stage not in FOR_ALL, f"{where}: {stage} is for all folders and may know none of them"
            allowed = other == stage or RANK[other] < RANK[stage] or (stage, other) in MAY_KNOW
            assert allowed, f"{where}: {stage} may not import {other}"


def test_every_folder_has_a_rank():
    folders = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    assert folders <= set(RANK)


@pytest.mark.parametrize("folder", sorted(RANK))
def test_every_folder_opens_with_its_contract(folder):
    text = (PACKAGE / folder / "__init__.py").read_text()
    assert ast.get_docstring(ast.parse(text)), f"{folder}/__init__.py says nothing about what it takes and gives"


def test_layout_at_the_top_is_the_one_that_users_know():
    for name in ("spatial_mllm_ros", "launch", "msg", "srv", "action", "engines", "test", "config"):
        assert (ROOT / name).is_dir()
    for name in ("package.xml", "setup.py", "CMakeLists.txt", "Makefile", "README.md"):
        assert (ROOT / name).is_file()
