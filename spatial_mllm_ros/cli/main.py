"""The `spatial-mllm` command: one subcommand per module of this folder.

A subcommand is a module with `add_arguments(parser)` and `run(args) -> exit status`. It is
imported only when it is called, so `spatial-mllm --help` costs no torch.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
from collections.abc import Sequence

from spatial_mllm_ros import __version__
from spatial_mllm_ros.errors import SpatialMLLMError

__all__ = ["main"]

BAD_INPUT = 2
INTERRUPTED = 130
BROKEN_PIPE = 141

COMMANDS: dict[str, str] = {
    "ask": "answer a question about a bag, a video or a folder of images",
    "sample": "pick the keyframes that see the most space",
    "verify": "check the model on this machine against golden data, and its compiled encoders against torch",
    "export": "write the encoders as ONNX graphs",
    "build": "export the encoders and build TensorRT engines of them",
    "bench": "measure speed and memory, side by side in one run",
    "generate": "render a generated room as a bag or as arrays",
    "eval": "score how well a small model answers, and sees, in generated rooms",
    "train-small": "train the small model, stage by stage, on a CPU",
    "doctor": "say what was found on this machine, and how to get what is missing",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    0 done, 1 failed, 2 bad input; 130 interrupted and 141 nobody reads the output, as shells have it.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    command = next((word for word in argv if not word.startswith("-")), None)
    parser = _make_parser(command)
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.DEBUG if args.verbose else logging.WARNING, format="%(levelname)s: %(message)s")
    try:
        status = args.run(args)
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # lest Python complain when it flushes at exit
        return BROKEN_PIPE
    except SpatialMLLMError as error:
        if args.verbose:
            raise
        print(f"spatial-mllm {command}: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        return INTERRUPTED


def _make_parser(command: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="spatial-mllm", description=__doc__.splitlines()[0])
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument("--verbose", action="store_true", help="log more, and show tracebacks")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, help_line in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=help_line, description=help_line[0].upper() + help_line[1:] + ".")
        if name == command:  # the others are listed only, so their imports are not paid for
            module = importlib.import_module(f"spatial_mllm_ros.cli.{name.replace('-', '_')}")
            module.add_arguments(subparser)
            subparser.set_defaults(run=module.run)
    return parser
