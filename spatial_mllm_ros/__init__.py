"""Answer questions about the space around a robot from its camera, with Spatial-MLLM (arXiv 2505.23747).

The stages, in the order in which data flows: `frames`, `geometry`, `sampling`, `model` beside `runtime`,
`reasoning`; then two doors, `ros` (the node) and `cli` (the command). Importing this package imports none of them.
"""

__version__ = "0.1.0"
