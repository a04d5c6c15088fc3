"""Install the library and the `spatial-mllm` command with pip, without ROS.

On a robot the package is built with colcon instead (CMakeLists.txt), which adds the interfaces and the node.
"""

from pathlib import Path

from setuptools import find_packages, setup

VERSION = "0.1.0"  # also in package.xml and spatial_mllm_ros/__init__.py; a test compares them

setup(
    name="spatial_mllm_ros",
    version=VERSION,
    description="Answers questions about the space around a robot from its camera (Spatial-MLLM, arXiv 2505.23747)",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    packages=find_packages(include=["spatial_mllm_ros", "spatial_mllm_ros.*"]),
    package_data={
        "spatial_mllm_ros": ["**/*.json", "**/*.npz", "**/*.yaml", "**/*.safetensors", "**/*.jinja", "**/*.jpg"]
    },
    data_files=[("share/spatial_mllm_ros/engines", [str(path) for path in sorted(Path("engines").glob("*.yaml"))])],
    python_requires=">=3.10",
    install_requires=[
        "huggingface_hub",
        "jinja2>=3",
        "numpy>=1.21",
        "opencv-python-headless>=4.5,<5",
        "pydantic>=2",
        "pyyaml",
        "rich",
        "rosbags>=0.10",
        "safetensors>=0.4.3",
        "tokenizers",
        "torch>=2.1",
        "transformers>=4.49,!=5.4.*,!=5.5.0,!=5.5.1,!=5.5.2,!=5.5.3",
    ],
    extras_require={
        "onnx": ["onnx", "onnx_ir", "onnxruntime", "onnxscript"],
        "rtx": ["tensorrt-rtx-cu13-libs", "tensorrt-rtx-cu13-bindings"],
        "scenes": ["mujoco>=3.2"],
        "test": ["hypothesis", "pytest>=7", "ruff"],
    },
    entry_points={"console_scripts": ["spatial-mllm = spatial_mllm_ros.cli.main:main"]},
)
