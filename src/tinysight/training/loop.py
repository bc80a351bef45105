"""The training loop: resumable after every epoch, repeatable by seed, and readable in one sitting."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tinysight.engines.hardware import processor
from tinysight.errors import UserError
from tinysight.files import write_atomically
from tinysight.progress import Progress, Tick
from tinysight.training.batches import Source
from tinysight.training.history import Line, device_name, starved, write_history
from tinysight.training.losses import Loss
from tinysight.training.optimizers import optimizer_of
from tinysight.training.schedules import rate_of
from tinysight.training.settings import Training
from tinysight.training.transfer import freeze, rate_groups, refuse_unknown_parts
from tinysight.training.watch import Watch

__all__ = ["AfterStep", "choose_device", "fit"]

STATE = "training.pt"

AfterStep = Callable[[int], None]


@dataclass
class _State:
    """Everything that must survive an interruption."""

    network: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LambdaLR
    epoch: int = 0
    history: list[Line] = field(default_factory=list)


def fit(
    network: nn.Module,
    batches: Source,
    loss: Loss,
    settings: Training,
    *,
    device: str,
    seed: int,
    folder: Path,
    progress: Progress,
    what: str = "training",
    trunk: Path | None = None,
    watch: Watch | None = None,
    after_step: AfterStep | None = None,
) -> None:
    """Train ``network`` in place and leave it on the CPU, in evaluation mode.

    After every epoch the state goes to ``folder``; called again with the same arguments, training goes on from there,
    and ends with the same weights as without the interruption, because each epoch draws its randomness from (seed,
    epoch). For the same reason trainings at a constant rate that differ only in their length may share the folder
    ``trunk``: each starts from the latest state there that lies on its way, and leaves its own before it cools down.
    ``watch`` is asked every ``settings.watch`` epochs and after the last. ``after_step`` is called with the number of
    steps done, before the first one and after each, and may change the weights.

    Raises:
        UserError: the loss or a weight became infinite or not a number, the output does not fit the targets, or all is
            frozen.
    """
    refuse_unknown_parts(network, settings)
    network.to(device)
    steps = batches.count(settings.batch_size)
    trained = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    state = _resumed(network, settings, steps, _beginnings(folder, trunk, settings), device)
    name = device_name(device)
    with progress.track(what, settings.epochs * steps, done=state.epoch * steps) as tick:
        if after_step:
            after_step(state.epoch * steps)
        while state.epoch < settings.epochs:
            torch.manual_seed((seed + 1) * 100_003 + state.epoch)
            freeze(network, settings, state.epoch, trained)
            started = time.monotonic()
            noted = _epoch(state, batches, loss, settings, device, tick, after_step)
            _refuse_poisoned_weights(state, settings)
            state.epoch += 1
            line = {"epoch": state.epoch, **noted, "seconds": time.monotonic() - started, "device": name}
            if watch and (state.epoch % settings.watch == 0 or state.epoch == settings.epochs):
                line["watched"] = watch(network, device)
            state.history.append(line)
            _keep(state, folder / STATE)
            if trunk and state.epoch == settings.branch:
                _keep(state, trunk / f"{state.epoch}.pt")
    if said := starved(state.history):
        progress.say(f"{what}: {said}")
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name in trained)
    network.to("cpu").to(memory_format=torch.contiguous_format).eval()


def choose_device(device: str) -> str:
    """Turn ``auto`` into ``cuda`` where there is one, else ``cpu``.

    Raises:
        UserError: it is neither ``auto``, ``cpu``, ``cuda`` nor ``cuda:N``, or does not exist here.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind, colon, number = device.partition(":")
    if device != "cpu" and (kind != "cuda" or (colon and not number.isdecimal())):
        raise UserError(f"device: '{device}' is not known: use 'auto', 'cpu', 'cuda' or 'cuda:0'")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise UserError(f"device: '{device}' is not available on this machine: use 'auto' or 'cpu'")
    return device


def _start(network: nn.Module, settings: Training, steps: int) -> _State:
    groups = rate_groups(network, settings)
    if not groups:
        raise UserError("the network has no weights to train: set requires_grad on those that may change")
    optimizer = optimizer_of(settings.optimizer, groups, settings.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate_of(settings, steps))
    return _State(network, optimizer, schedule)


def _epoch(
    state: _State,
    batches: Source,
    loss: Loss,
    settings: Training,
    device: str,
    tick: Tick,
    after_step: AfterStep | None,
) -> Line:
    """Return the mean loss, the seconds in which the network waited for images, and how many these were."""
    total = waited = 0.0
    images = 0
    steps = batches.count(settings.batch_size)
    # Measured on two AVX-512 cores, float32: channels_last makes a step 1.2 to 1.8 times faster. bfloat16 pays only
    # where the processor multiplies it.
    bf16 = device != "cpu" or processor().has_bf16
    state.network.to(memory_format=torch.channels_last)
    source = batches.epoch(settings.batch_size)
    for step in range(steps):
        started = time.monotonic()
        batch = next(source).to(device)
        waited += time.monotonic() - started
        images += len(batch.images)
        with torch.autocast(device.split(":")[0], torch.bfloat16, enabled=bf16):
            scores = state.network(batch.images)
        value = loss(batch, scores.float())
        _refuse_divergence(value, state.epoch, step, settings)
        state.optimizer.zero_grad(set_to_none=True)
        value.backward()  # type: ignore[no-untyped-call]
        state.optimizer.step()
        state.schedule.step()
        if after_step:
            after_step(state.epoch * steps + step + 1)
        total += float(value.detach())
        tick(1)
    return {"loss": total / steps, "waited": waited, "images": images}


def _refuse_divergence(value: Tensor, epoch: int, step: int, settings: Training) -> None:
    if not torch.isfinite(value):
        raise _diverged(f"the loss is {float(value.detach())} at epoch {epoch + 1}, step {step + 1}", settings)


def _refuse_poisoned_weights(state: _State, settings: Training) -> None:
    """Look at the weights before they are stored: the last step of an epoch is followed by no loss that would tell."""
    weights = [weight for group in state.optimizer.param_groups for weight in group["params"]]
    if not all(bool(torch.isfinite(weight).all()) for weight in weights):
        raise _diverged(f"a weight is infinite or not a number after epoch {state.epoch + 1}", settings)


def _diverged(what: str, settings: Training) -> UserError:
    return UserError(
        f"training diverged: {what}: lower the learning_rate (now {settings.learning_rate:g}), or look for broken "
        "images with 'tinysight data check'"
    )


def _keep(state: _State, path: Path) -> None:
    content: dict[str, Any] = {
        "epoch": state.epoch,
        "network": state.network.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "schedule": state.schedule.state_dict(),
        "history": state.history,
    }
    content["schedule"].pop("lr_lambdas", None)  # a function; it follows from the settings
    write_history(path.parent, state.history)
    write_atomically(path, lambda draft: torch.save(content, draft))


def _beginnings(folder: Path, trunk: Path | None, settings: Training) -> list[Path]:
    """Return the states this training may begin from, the furthest first."""
    found = [folder / STATE] if (folder / STATE).is_file() else []
    states = [path for path in trunk.glob("*.pt") if path.stem.isdecimal()] if trunk else []
    shared = sorted(states, key=lambda path: int(path.stem), reverse=True)
    return found + [path for path in shared if int(path.stem) <= settings.branch]


def _resumed(network: nn.Module, settings: Training, steps: int, beginnings: list[Path], device: str) -> _State:
    """Return the first of the stored states that can be read, or a fresh one where there is none."""
    untrained = copy.deepcopy(network.state_dict()) if beginnings else {}
    for path in beginnings:
        state = _start(network, settings, steps)
        try:
            _restore(state, path, device)
        except Exception:  # every damage has its own error, and some are found when half is restored
            network.load_state_dict(untrained)
        else:
            if path.name != STATE:  # the trunk was trained for another candidate
                state.history = [line | {"seconds": 0.0, "waited": 0.0, "images": 0} for line in state.history]
            return state
    return _start(network, settings, steps)


def _restore(state: _State, path: Path, device: str) -> None:
    content = torch.load(path, map_location=device, weights_only=True)
    state.network.load_state_dict(content["network"])
    state.optimizer.load_state_dict(content["optimizer"])
    state.schedule.load_state_dict(content["schedule"] | {"lr_lambdas": [None]})
    for group, rate in zip(state.optimizer.param_groups, state.schedule.base_lrs, strict=True):
        # A trunk's next step was planned by a training that ended there.
        group["lr"] = rate * state.schedule.lr_lambdas[0](state.schedule.last_epoch)
    state.epoch, state.history = content["epoch"], content["history"]
    if [line["epoch"] for line in state.history] != list(range(1, state.epoch + 1)):
        raise ValueError("the history does not fit the epoch")
