"""Bins: fewer bins in a pyramid pooling module, and a narrower convolution behind it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple

from pydantic import Field

from tinysight.errors import one_line
from tinysight.reduction.step import Context, NotApplicable, StructureReduction

if TYPE_CHECKING:
    from torch import Tensor, nn

    from tinysight.reduction.network import Network

__all__ = ["Bins"]


class Bins(StructureReduction):
    """Remove the branches of every pyramid that pool to sizes not in ``keep``, and what the next layer reads of them.

    A pyramid (Zhao et al. 2017, section 3.2) is two or more modules that average one tensor to different sizes, n x n,
    each at the head of a branch, all concatenated for one convolution. It is found by making each branch not-a-number
    in turn and seeing which channels that reaches, and proven by comparing with the original whose convolution ignores
    the removed channels. An empty list removes all branches. The branches must stand in a list that the network's code
    goes through; pooling called as a function inside that code cannot be seen.
    """

    name: ClassVar[str] = "bins"

    keep: tuple[Annotated[int, Field(ge=1)], ...] = (1, 6)

    @property
    def label(self) -> str:
        """The bins that stay."""
        return f"bins {', '.join(map(str, self.keep))}" if self.keep else "no bins"

    def reduce(self, network: Network, context: Context) -> Network:
        """Find the pyramids, remove branches, prove, record."""
        pyramids = _pyramids(network)
        if not pyramids:
            raise NotApplicable(
                "there is no pyramid: no convolution reads two or more averages of one tensor side by side; what the "
                "network's own code pools by a function cannot be seen"
            )
        cuts = [pyramid.cut(self.keep) for pyramid in pyramids]
        record = {"pyramids": [cut for cut in cuts if cut["removed"]]}
        if not record["pyramids"]:
            raise NotApplicable(f"the pyramid has no other bins than {_listed(pyramids[0].sizes)} already")
        reduced = network.copy()
        reduced = reduced.with_step(self.step(record), self.replay(reduced.module, record))
        _prove(network, reduced, record)
        return reduced

    @staticmethod
    def replay(module: nn.Module, record: dict[str, Any]) -> nn.Module:
        """Cut the recorded channels out of the readers and take the recorded branches away."""
        from tinysight.reduction.channels.cut import cut

        kept = {pyramid["reader"]: _numbers(pyramid["kept"]) for pyramid in record["pyramids"]}
        cuts = [{"kept": numbers, "axes": [[f"{reader}.weight", 1]]} for reader, numbers in kept.items()]
        cut(module, {"cuts": cuts, "sizes": {reader: {"in_channels": len(each)} for reader, each in kept.items()}})
        _remove(module, [path for pyramid in record["pyramids"] for path in pyramid["removed"]])
        return module


class _Branch(NamedTuple):
    """One bin: its size, the reader's input channels that it fills, and the paths of what makes it."""

    size: int
    channels: list[int]
    parts: list[str]


class _Pyramid(NamedTuple):
    """Branches that one convolution, ``reader``, reads together with its other input channels."""

    reader: str
    width: int
    branches: list[_Branch]

    @property
    def sizes(self) -> list[int]:
        return [branch.size for branch in self.branches]

    def cut(self, keep: Sequence[int]) -> dict[str, Any]:
        """Make the record of a pyramid without the bins that are not in ``keep``."""
        if missing := set(keep) - set(self.sizes):
            raise NotApplicable(
                f"the pyramid read by {self.reader} has the bins {_listed(self.sizes)}: there is no {_listed(missing)}"
            )
        gone = [branch for branch in self.branches if branch.size not in keep]
        cut = {channel for branch in gone for channel in branch.channels}
        kept = [channel for channel in range(self.width) if channel not in cut]
        if not kept:
            raise NotApplicable(f"{self.reader} reads nothing but the pyramid's bins: keep at least one")
        return {
            "reader": self.reader,
            "kept": _spans(kept),
            "removed": [path for branch in gone for path in branch.parts],
        }


def _pyramids(network: Network) -> list[_Pyramid]:
    """Return every pyramid of the network.

    Raises:
        NotApplicable: something pools like a pyramid but is not one that can be cut.
    """
    found = []
    for pools in _pools(network):
        if len(set(pools.values())) == 1:
            continue  # several gates or heads may pool one tensor to 1 x 1
        traces = {pool: trace for pool in pools if (trace := _trace(network, pool))}
        for reader in dict.fromkeys(trace.reader for trace in traces.values()):
            read = {pool: trace for pool, trace in traces.items() if trace.reader == reader}
            if len({pools[pool] for pool in read}) > 1:
                found.append(_pyramid(network, reader, read, pools))
    return found


def _pyramid(network: Network, reader: str, traces: dict[str, _Trace], sizes: dict[str, int]) -> _Pyramid:
    """Put together the branches of one reader."""
    channels = [channel for trace in traces.values() for channel in trace.channels]
    if len(channels) != len(set(channels)):
        raise NotApplicable(f"{', '.join(traces)} are mixed with each other before {reader} reads them")
    convolution: Any = network.module.get_submodule(reader)
    branches = [
        _Branch(sizes[pool], trace.channels, _wholes(network.module, trace.layers)) for pool, trace in traces.items()
    ]
    return _Pyramid(reader, convolution.in_channels, branches)


def _pools(network: Network) -> list[dict[str, int]]:
    """Group the modules that average to n x n by the tensor they read: path -> n, for each such tensor."""
    from torch import nn

    from tinysight.reduction.verify import run

    groups: dict[int, dict[str, int]] = {}
    alive: list[Any] = []  # identities are only unique while their tensors live
    watched = network.copy()
    for path, module in watched.module.named_modules():
        if not isinstance(module, nn.AdaptiveAvgPool2d):
            continue
        size = module.output_size
        height, width = (size, size) if size is None or isinstance(size, int) else size
        if height is None or height != width:
            continue

        def note(_module: nn.Module, inputs: tuple[Any, ...], path: str = path, size: int = height) -> None:
            alive.append(inputs)
            groups.setdefault(id(inputs[0]), {})[path] = size

        module.register_forward_pre_hook(note)
    run(watched.scores, watched.example())
    return list(groups.values())


class _Read(NamedTuple):
    """One run of a layer, and which channels of its input were computed from the pool that is followed."""

    path: str
    spoilt: list[bool]


class _Trace(NamedTuple):
    """Where a pool's output goes: the reader, its input channels, and the layers that run for this pool alone."""

    reader: str
    channels: list[int]
    layers: set[str]


def _trace(network: Network, pool: str) -> _Trace | None:
    """Follow one pool's output to the convolution that reads it beside other channels; None where nothing does."""
    from torch import nn

    reads = _reads(network, pool)
    stateful = {path for path, module in network.module.named_modules() if _has_state(module)}
    beside = (
        number for number, (path, spoilt) in enumerate(reads) if path in stateful and any(spoilt) and not all(spoilt)
    )
    position = next(beside, None)
    if position is None:
        return None
    reader, spoilt = reads[position]
    module = network.module.get_submodule(reader)
    if not isinstance(module, nn.Conv2d) or module.groups != 1:
        raise NotApplicable(f"what {pool} pools is read by {reader}, which is not a plain convolution")
    if [read.path for read in reads].count(reader) != 1:
        raise NotApplicable(f"{reader}, which reads what {pool} pools, runs several times")
    others = {read.path for number, read in enumerate(reads) if number >= position or not all(read.spoilt)}
    layers = {read.path for read in reads} - others | {pool}
    return _Trace(reader, [channel for channel, one in enumerate(spoilt) if one], layers)


def _reads(network: Network, pool: str) -> list[_Read]:
    """Run the network with the output of ``pool`` made not-a-number, and note what each layer's input holds of it."""
    import torch

    from tinysight.reduction.verify import run

    reads: list[_Read] = []
    spoilt = network.copy()
    for path, module in spoilt.module.named_modules():
        if not _has_state(module) and next(module.children(), None) is not None:
            continue

        def note(_module: nn.Module, inputs: tuple[Any, ...], path: str = path) -> None:
            if inputs and isinstance(inputs[0], torch.Tensor):
                reads.append(_Read(path, _spoilt_channels(inputs[0])))

        module.register_forward_pre_hook(note)
    spoilt.module.get_submodule(pool).register_forward_hook(
        lambda _module, _inputs, output: torch.full_like(output, torch.nan)
    )
    run(spoilt.scores, spoilt.example())
    return reads


def _spoilt_channels(tensor: Tensor) -> list[bool]:
    """Say of each channel (axis 1) whether it holds a value that is not a number."""
    found: list[bool] = tensor.isnan().movedim(min(1, tensor.ndim - 1), 0).flatten(1).any(1).tolist()
    return found


def _has_state(module: nn.Module) -> bool:
    """Whether a module holds parameters or statistics of its own."""
    return any(True for _ in (*module.parameters(recurse=False), *module.buffers(recurse=False)))


def _wholes(network: nn.Module, layers: set[str]) -> list[str]:
    """Return the largest modules that hold ``layers`` and no other weights or pools, by all their names, in order."""
    from torch import nn

    modules = dict(network.named_modules(remove_duplicate=False))
    own = {network.get_submodule(path) for path in layers}
    wholes: list[str] = []
    for path, module in modules.items():  # wholes come before their parts
        parts = set(module.modules())
        others = [part for part in parts - own if _has_state(part) or isinstance(part, nn.AdaptiveAvgPool2d)]
        inside_one = any(path.startswith(f"{whole}.") for whole in wholes)
        if path and parts & own and not others and not inside_one:
            wholes.append(path)
    return wholes


def _remove(network: nn.Module, paths: Sequence[str]) -> None:
    """Take modules out of the lists that hold them; what follows in a list moves up."""
    from torch import nn

    order = list(dict(network.named_modules(remove_duplicate=False)))
    for path in sorted(paths, key=order.index, reverse=True):  # the last first: the other paths then stay valid
        parent_path, _, name = path.rpartition(".")
        parent = network.get_submodule(parent_path)
        if isinstance(parent, nn.ModuleList | nn.Sequential) and name.isdigit():
            del parent[int(name)]
        else:
            delattr(parent, name)


def _prove(original: Network, reduced: Network, record: dict[str, Any]) -> None:
    """Compare with the original whose readers ignore the removed channels; training must still run where it did.

    Raises:
        NotApplicable: the network does not run without the branches, or something else depended on them.
    """
    from tinysight.reduction.verify import trains

    cut = {}
    for pyramid in record["pyramids"]:
        reader: Any = original.module.get_submodule(pyramid["reader"])
        cut[pyramid["reader"]] = sorted(set(range(reader.in_channels)) - set(_numbers(pyramid["kept"])))
    removed = ", ".join(path for pyramid in record["pyramids"] for path in pyramid["removed"])
    try:
        difference = _difference_ignoring(original, reduced, cut)
    except Exception as error:  # whatever the network's own code raises without its branches
        reason = one_line(error, 160)
        raise NotApplicable(f"the network does not run without {removed}: {reason}") from error
    if difference > 1e-9:
        raise NotApplicable(f"{removed} do more than fill {', '.join(cut)}: outputs differ by {difference:.2g}")
    batch = original.example(batch=2)
    if trains(original.scores, batch) and not trains(reduced.scores, batch):
        raise NotApplicable(f"the network cannot be trained without {removed}")


def _difference_ignoring(original: Network, reduced: Network, cut: Mapping[str, Sequence[int]]) -> float:
    """Return the largest difference from the original whose readers see zeros in the channels ``cut``, in float64."""
    import torch

    from tinysight.reduction.verify import InDouble, largest_difference

    ignoring = original.copy()
    with torch.no_grad():
        for path, channels in cut.items():
            weight: Tensor = ignoring.module.get_submodule(path).weight  # type: ignore[assignment]
            weight[:, list(channels)] = 0
    images = original.example(batch=2).double()
    with InDouble():
        return largest_difference(ignoring.scores.double(), reduced.copy().scores.double(), images)


def _spans(numbers: Sequence[int]) -> list[list[int]]:
    """Write ascending numbers as spans [first, last + 1]."""
    known = set(numbers)
    starts = [number for number in numbers if number - 1 not in known]
    stops = [number + 1 for number in numbers if number + 1 not in known]
    return [[start, stop] for start, stop in zip(starts, stops, strict=True)]


def _numbers(spans: Iterable[Sequence[int]]) -> list[int]:
    return [number for start, stop in spans for number in range(start, stop)]


def _listed(sizes: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(sizes)))
