"""What every stage of training shares: a schedule by time spent, a log of figures, and checkpoints to go on from."""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from spatial_mllm_ros.errors import DependencyError, InputError

__all__ = ["Run", "read_state", "taking_over"]

_WARM_UP_STEPS = 200
_WEIGHT_DECAY = 0.02
_MUON_RATE = 3.0  # of AdamW's
_LEAST_SIDE = 32  # of a matrix worth orthogonalising
_REMEDY = "; remove it, and begin the stage anew"


class Run:
    """One training run in a folder: `state.pt`, `log.jsonl`.

    Time is the process's own: a run that was stopped goes on where it was, and one that shares its core with other work
    is not cut short by it.

    Args:
        folder: of the run; made if it is not there.
        modules: what is trained, by name.
        learning_rate: the largest, of AdamW; it rises for 200 steps and falls as a cosine over the budget. Matrices of
            linear layers go by Muon (orthogonalised momentum) at `_MUON_RATE` times it.
        hours: budget, of processor time.
        save_every_s: seconds of processor time from one checkpoint to the next.

    Raises:
        DependencyError: if torch has no Muon yet.
        InputError: if the state that is there is damaged.
    """

    def __init__(
        self,
        folder: Path,
        modules: Mapping[str, nn.Module],
        *,
        learning_rate: float,
        hours: float,
        save_every_s: float = 120.0,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.modules, self.step = folder, dict(modules), 0
        self._budget_s, self._save_every_s = 3600 * hours, save_every_s
        self._parameters = [p for module in modules.values() for p in module.parameters() if p.requires_grad]
        self.optimizers = _optimizers(modules.values(), learning_rate)
        self._spent_s, self._since, self._saved = 0.0, time.process_time(), time.process_time()
        self._figures: dict[str, list[float]] = {}
        self._logged = 0
        if (folder / "state.pt").is_file():
            self._resume()

    @property
    def progress(self) -> float:
        """Share of the budget that is spent, 0 to 1 and beyond."""
        return (self._spent_s + time.process_time() - self._since) / self._budget_s

    def update(self, loss: torch.Tensor, **figures: float) -> None:
        """Take one step down a loss; figures are averaged into the log."""
        scale = min(1.0, (self.step + 1) / _WARM_UP_STEPS) * 0.5 * (1 + math.cos(math.pi * min(self.progress, 1.0)))
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * max(scale, 0.01)
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self._parameters, 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
        self.step += 1
        for name, value in {"loss": float(loss.detach()), **figures}.items():
            self._figures.setdefault(name, []).append(value)
        if time.process_time() - self._saved > self._save_every_s:
            self.save()

    @property
    def steps_since_log(self) -> int:
        """Steps taken since the last line of the log."""
        return self.step - self._logged

    def log(self, **figures: Any) -> dict[str, Any]:
        """Write a line: what is given, and means since the last line, each over the steps that told it."""
        means = {name: round(sum(values) / len(values), 4) for name, values in self._figures.items()}
        line = {"step": self.step, "progress": round(self.progress, 4), **means, **figures}
        self._figures, self._logged = {}, self.step
        with (self.folder / "log.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
        return line

    def save(self) -> None:
        """Write a checkpoint, whole or not at all."""
        self._spent_s, self._since = self._spent_s + time.process_time() - self._since, time.process_time()
        state = {
            "modules": {name: module.state_dict() for name, module in self.modules.items()},
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "step": self.step,
            "spent_s": self._spent_s,
        }
        partial = self.folder / "state.partial"
        torch.save(state, partial)
        partial.replace(self.folder / "state.pt")
        self._saved = time.process_time()

    def _resume(self) -> None:
        path = self.folder / "state.pt"
        state = read_state(path)
        with taking_over(path):
            for name, module in self.modules.items():
                module.load_state_dict(state["modules"][name])
            if len(state["optimizers"]) != len(self.optimizers):
                raise ValueError(f"{len(state['optimizers'])} optimizers instead of {len(self.optimizers)}")
            for optimizer, one in zip(self.optimizers, state["optimizers"]):
                rates = [group["initial_lr"] for group in optimizer.param_groups]  # of this run, not of the stopped one
                optimizer.load_state_dict(one)
                for group, rate in zip(optimizer.param_groups, rates):
                    group["initial_lr"] = rate
            self.step, self._spent_s = state["step"], state["spent_s"]
        self._logged = self.step


def _optimizers(modules: Iterable[nn.Module], rate: float) -> tuple[torch.optim.Optimizer, ...]:
    if not hasattr(torch.optim, "Muon"):
        raise DependencyError("training needs torch 2.9 or newer; pip install 'torch>=2.9'")
    modules = tuple(modules)
    parameters = [p for module in modules for p in module.parameters() if p.requires_grad]
    linear = [layer.weight for module in modules for layer in module.modules() if isinstance(layer, nn.Linear)]
    matrices = [weight for weight in linear if weight.requires_grad and min(weight.shape) >= _LEAST_SIDE]
    taken = {id(matrix) for matrix in matrices}
    rest = [p for p in parameters if id(p) not in taken]
    groups = [
        {"params": [p for p in rest if p.ndim > 1], "weight_decay": _WEIGHT_DECAY},
        {"params": [p for p in rest if p.ndim <= 1], "weight_decay": 0.0},
    ]
    found = [torch.optim.AdamW([group for group in groups if group["params"]], lr=rate, betas=(0.9, 0.98))]
    if matrices:
        rate *= _MUON_RATE
        found.append(torch.optim.Muon(matrices, lr=rate, weight_decay=_WEIGHT_DECAY, adjust_lr_fn="match_rms_adamw"))
    for optimizer in found:
        for group in optimizer.param_groups:
            group["initial_lr"] = group["lr"]
    return tuple(found)


def read_state(path: Path) -> dict[str, Any]:
    """Read a checkpoint of a run.

    Raises:
        InputError: if it is damaged.
    """
    try:
        state = torch.load(path, weights_only=True)
    except Exception as error:  # torch raises many types for a file that is cut short or something else
        raise InputError(f"{path} cannot be read{_REMEDY}") from error
    if not isinstance(state, dict) or "modules" not in state:
        raise InputError(f"{path} is not the state of a run{_REMEDY}")
    return state


@contextlib.contextmanager
def taking_over(path: Path) -> Iterator[None]:
    """Call it bad input if what a checkpoint holds is not what is taken from it inside.

    Raises:
        InputError: naming the file.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"{path} is the state of another run ({reason}){_REMEDY}") from error
