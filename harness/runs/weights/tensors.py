"""Files of tensors in the safetensors format: written by a run, read as strangers' files.

The file says which network it belongs to (``ModelFacts.digest``): a description that was changed
since is told from the one it was written with.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from harness._util.budget import Budget
from harness.errors import DataError

__all__ = ["TensorFile", "write_tensors"]

_MODEL = "msa-harness.model"
_SHOWN = 3
_DTYPES = {
    **{"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16},
    **{"I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8},
    **{"U8": torch.uint8, "BOOL": torch.bool},
}
_AGAIN = "msa weights RUN --to FOLDER writes it again"


def write_tensors(path: Path, tensors: Mapping[str, Tensor], model: str) -> None:
    """Write tensors, each in storage of its own.

    Args:
        path: The file.
        tensors: By name, on any device.
        model: Digest of the description of their network.

    Raises:
        OSError: When the disk refuses.
    """
    seen: set[int] = set()
    own: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        here = tensor.detach().cpu().contiguous()
        place = here.untyped_storage().data_ptr()
        own[name] = here.clone() if place in seen else here  # tied weights are written twice
        seen.add(place)
    try:
        save_file(own, path, metadata={_MODEL: model})
    except SafetensorError as error:  # what the disk says
        raise OSError(str(error)) from error
    path.chmod(0o644)


@dataclass(frozen=True, kw_only=True)
class TensorFile:
    """A file of tensors whose list was read.

    Args:
        path: The file.
        found: Name -> type and shape.
        model: Digest of its network's description; None where it names none.
    """

    path: Path
    found: Mapping[str, tuple[torch.dtype | None, tuple[int, ...]]]
    model: str | None

    @classmethod
    def open(cls, path: Path) -> TensorFile:
        """Read the list of tensors; nothing of them.

        Raises:
            DataError: When it is no such file, or a damaged one.
        """
        budget = Budget.of(path, "a file of tensors (safetensors)", hint=_AGAIN)
        budget.spend(budget.size, "its tensors")
        try:
            with safe_open(path, framework="pt") as file:
                slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
                found = {
                    name: (_DTYPES.get(part.get_dtype()), tuple(part.get_shape()))
                    for name, part in slices.items()
                }
                model = (file.metadata() or {}).get(_MODEL)
        except (SafetensorError, OSError) as error:
            raise _unreadable(path, error) from error
        return cls(path=path, found=found, model=model)

    def need(self, expected: Mapping[str, Tensor], *, without: Collection[str] = ()) -> None:
        """Refuse tensors that are not those of a network.

        Args:
            expected: The network's own, by name.
            without: Those that the file leaves out, for they are the encoder's.

        Raises:
            DataError: For missing and unknown names, other types and other shapes; some of them.
        """
        missing = sorted(expected.keys() - self.found.keys() - set(without))
        unknown = sorted(self.found.keys() - expected.keys())
        unfit = [
            f"{name} should be {_said(tensor.dtype, tuple(tensor.shape))},"
            f" found {_said(*self.found[name])}"
            for name, tensor in expected.items()
            if name in self.found and self.found[name] != (tensor.dtype, tuple(tensor.shape))
        ]
        for what, names in (("lacks", missing), ("has unknown", unknown), ("does not fit:", unfit)):
            if names:
                raise DataError(f"{self.path.name} {what} {_some(names)}", hint=_AGAIN)

    def read(self) -> dict[str, Tensor]:
        """The tensors.

        Raises:
            DataError: When one cannot be read, or holds numbers that are not finite.
        """
        try:
            with safe_open(self.path, framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in self.found}
        except (SafetensorError, OSError) as error:
            raise _unreadable(self.path, error) from error
        broken = sorted(n for n, t in tensors.items() if t.is_floating_point() and _is_broken(t))
        if broken:
            raise DataError(
                f"{self.path.name} holds numbers that are not finite, in {_some(broken)}",
                hint=_AGAIN,
            )
        return tensors


def _is_broken(tensor: Tensor) -> bool:
    return not bool(tensor.isfinite().all())


def _said(dtype: torch.dtype | None, shape: tuple[int, ...]) -> str:
    kind = "another type" if dtype is None else str(dtype).removeprefix("torch.")
    return f"{kind} {shape}"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(f"{path.name} is no file of tensors, or a damaged one: {error}", hint=_AGAIN)
