"""The import rules of docs/design.md, read from the source text, so that no dependency is needed."""

import ast
import sys
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
    "evaluation": 6,
    "bench": 7,
    "ros": 8,
    "cli": 8,
}
MAY_KNOW = {("runtime", "model")}  # side by side: the runtime exports the model's modules, not the other way round
FOR_ALL = {"errors.py", "parameters.py", "__init__.py"}  # these know no folder, and every folder may know them

# The libraries that a folder may import, wherever in a file the import stands. No torch before `model`, rclpy and
# messages in `ros` alone. A library that is new here is new in setup.py (or package.xml) and constraints.txt as well.
_MESSAGES = {"action_msgs", "builtin_interfaces", "diagnostic_msgs", "geometry_msgs", "nav_msgs", "rcl_interfaces"}
_MESSAGES |= {"rosgraph_msgs", "sensor_msgs", "std_msgs", "std_srvs"}
LIBRARIES = {
    "frames": {"cv2", "cv_bridge", "numpy", "rosbags"},
    "geometry": {"cv2", "numpy"},
    "sampling": {"cv2", "numpy"},
    "model": {"huggingface_hub", "jinja2", "numpy", "safetensors", "tokenizers", "torch", "transformers"},
    "runtime": {"numpy", "onnx", "onnx_ir", "onnxruntime", "onnxscript", "pydantic", "tensorrt", "torch", "yaml"},
    "reasoning": {"numpy", "torch"},
    "training": {"cv2", "mujoco", "numpy", "rich", "rosbags", "safetensors", "tokenizers", "torch"},
    "evaluation": {"numpy", "torch"},
    "bench": {"cv2", "numpy", "rich", "torch", "transformers"},
    "ros": {"cv2", "numpy", "rclpy", "rich", "tf2_ros", *_MESSAGES},
    "cli": {"cv2", "huggingface_hub", "numpy", "rich", "torch", "transformers"},
}
# Libraries that may be missing: never imported just because a module of ours is.
OPTIONAL = {"cv_bridge", "mujoco", "onnx", "onnx_ir", "onnxruntime", "onnxscript", "rosbags", "tensorrt", "tensorrt_rtx", "tf2_ros"}


def imports(node, package, is_late=False):
    """Yield (line, dotted name, happens only in a call or for a type checker), relative names made absolute."""
    for child in ast.iter_child_nodes(node):
        late = is_late or isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        late = late or (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test))
        if isinstance(child, ast.Import):
            yield from ((child.lineno, alias.name, late) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            base = package[: len(package) - child.level + 1] if child.level else ()
            parent = [*base, *(child.module.split(".") if child.module else ())]
            yield from ((child.lineno, ".".join([*parent, alias.name]), late) for alias in child.names)
        elif isinstance(child, ast.Call) and ast.unparse(child.func).endswith("import_module") and child.args:
            name = child.args[0]
            if isinstance(name, ast.Constant):
                yield child.lineno, str(name.value), late
        yield from imports(child, package, late)


def violations(path, text):
    """Return a sentence, with file and line, for each import in the file `path` (under the package) that is not allowed."""
    stage = path.parts[0]
    found = []
    for line, name, is_late in imports(ast.parse(text), ("spatial_mllm_ros", *path.parent.parts)):
        where = f"spatial_mllm_ros/{path}:{line}"
        library, *rest = name.split(".")
        if library == "spatial_mllm_ros":
            other = rest[0] if rest and rest[0] in RANK else None
            if other and stage in FOR_ALL:
                found.append(f"{where}: {stage} is for all folders and may know none of them, not {other} either")
            elif other and other != stage and RANK[other] >= RANK[stage] and (stage, other) not in MAY_KNOW:
                found.append(f"{where}: {stage} may not import {other}, which comes after it or stands beside it")
        elif library not in sys.stdlib_module_names:
            if library not in LIBRARIES.get(stage, ()):
                found.append(f"{where}: {stage} may not import {library}")
            if library in OPTIONAL and not is_late:
                found.append(f"{where}: {library} may be missing; import it in the function that uses it")
    return found


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_file_imports_only_what_its_folder_may(path):
    assert violations(path.relative_to(PACKAGE), path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("path", "text", "complaint"),
    [
        ("frames/a.py", "import numpy\nfrom spatial_mllm_ros.sampling import bits", "frames/a.py:2: frames may not import sampling"),
        ("frames/a.py", "from ..geometry import grid", "frames/a.py:1: frames may not import geometry"),
        ("model/vggt/a.py", "from ...runtime import probe", "model/vggt/a.py:1: model may not import runtime"),
        ("sampling/a.py", "def f():\n    import torch.nn", "sampling/a.py:2: sampling may not import torch"),
        ("geometry/a.py", "import importlib\nimportlib.import_module('torch')", "geometry/a.py:2: geometry may not import torch"),
        ("reasoning/a.py", "from rclpy.node import Node", "reasoning/a.py:1: reasoning may not import rclpy"),
        ("training/a.py", "try:\n    import mujoco\nexcept ImportError: ...", "training/a.py:2: mujoco may be missing"),
        ("errors.py", "from spatial_mllm_ros.frames import Frame", "errors.py:1: errors.py is for all folders"),
    ],
)  # fmt: skip
def test_rules_catch(path, text, complaint):
    (found,) = violations(Path(path), text)
    assert found.startswith(f"spatial_mllm_ros/{complaint}")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("runtime/a.py", "from spatial_mllm_ros.model import SpatialMLLM"),
        ("training/a.py", "def render():\n    import mujoco"),
        ("reasoning/a.py", "from . import answer\nfrom spatial_mllm_ros.errors import InputError\nimport os.path"),
    ],
)
def test_rules_let_through(path, text):
    assert violations(Path(path), text) == []


def test_every_folder_has_a_rank_and_its_libraries():
    folders = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    assert folders <= RANK.keys() == LIBRARIES.keys()


@pytest.mark.parametrize("folder", sorted(RANK))
def test_every_folder_opens_with_its_contract(folder):
    text = (PACKAGE / folder / "__init__.py").read_text()
    assert ast.get_docstring(ast.parse(text)), f"{folder}/__init__.py says nothing about what it takes and gives"


def test_layout_at_the_top_is_the_one_that_users_know():
    for name in ("spatial_mllm_ros", "launch", "msg", "srv", "action", "engines", "test", "config"):
        assert (ROOT / name).is_dir()
    for name in ("package.xml", "setup.py", "CMakeLists.txt", "Makefile", "README.md"):
        assert (ROOT / name).is_file()
