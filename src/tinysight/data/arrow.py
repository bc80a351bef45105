"""Pictures in the rows of Arrow streams, mapped into memory, and of Parquet files, read a row group at a time.

Reading them needs pyarrow, which is imported when the first file is opened.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, Literal

from tinysight.errors import UserError, one_line

__all__ = ["Cell", "Shard"]

KEPT_GROUPS = 4
"""Row groups of Parquet files kept in memory, some hundred pictures each."""


@dataclass(frozen=True)
class Shard:
    """One file of rows: an Arrow stream, or Parquet where its name ends so."""

    path: Path

    def features(self) -> dict[str, Any]:
        """Return what the writer noted of the columns, by their names; what it did not follows from their types.

        Raises:
            UserError: the file cannot be read, or pyarrow is missing.
        """
        source = self._source()
        schema = source.schema_arrow if self._is_parquet else source.schema
        return {field.name: _described(field) for field in schema} | _noted(schema.metadata or {})

    def count(self) -> int:
        """Return the number of rows."""
        source = self._source()
        return int(source.metadata.num_rows if self._is_parquet else source.num_rows)

    def column(self, name: str) -> list[Any]:
        """Return all values of one column, which had better be small ones."""
        with _broken_named(self.path):
            source = self._source()
            table = source.read(columns=[name], use_threads=False) if self._is_parquet else source
            values: list[Any] = _sound(table.column(name)).to_pylist()
            return values

    def cells(self, name: str) -> Iterator[Cell]:
        """Yield the pictures of one column, unread."""
        with _broken_named(self.path):
            source = self._source()
            if self._is_parquet:
                groups = [source.metadata.row_group(group).num_rows for group in range(source.num_row_groups)]
            else:
                _sound(source.column(name))
                groups = [source.num_rows]
        for group, rows in enumerate(groups):
            yield from (Cell(self.path, name, group, row) for row in range(rows))

    @property
    def _is_parquet(self) -> bool:
        return self.path.suffix == ".parquet"

    def _source(self) -> Any:
        return _opened_parquet(*_state(self.path)) if self._is_parquet else _mapped(*_state(self.path))


@dataclass(frozen=True)
class Cell:
    """A picture in a file of rows: ``row`` counts within the row group ``group``; Arrow streams are one group."""

    path: Path
    column: str
    group: int
    row: int

    @property
    def name(self) -> str:
        """The file and the row, for messages."""
        return f"{self.path.name}, row {self.row}" + (f" of row group {self.group}" if self.group else "")

    def open(self, mode: Literal["rb"] = "rb", /) -> IO[bytes]:
        """Open for reading."""
        return io.BytesIO(self.read_bytes())

    def read_bytes(self) -> bytes:
        """Return the picture as it is stored.

        Raises:
            UserError: the file is gone or damaged, or the row holds no picture but the path of one, or nothing.
        """
        state = _state(self.path)
        with _broken_named(self.path):
            if self.path.suffix == ".parquet":
                value = _read_group(*state, self.group, self.column)[self.row].as_py()
            else:
                value = _mapped(*state).column(self.column)[self.row].as_py()
        content = value.get("bytes") if isinstance(value, dict) else value
        if isinstance(content, bytes):
            return content
        if isinstance(value, dict) and value.get("path"):
            raise UserError(
                f"{self} holds no picture but the path of one, {value['path']}: save the data set with its pictures, "
                "after Dataset.cast_column(…, Image()) and a map() that reads them"
            )
        raise UserError(f"{self} holds no picture in the column '{self.column}': take the row out")

    def __str__(self) -> str:
        return f"{self.path.parent / self.name}"


def _noted(metadata: Mapping[bytes, bytes]) -> dict[str, Any]:
    """Return the features that the library ``datasets`` notes in a file's schema."""
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
    except (ValueError, KeyError, TypeError):
        return {}
    return features if isinstance(features, dict) else {}


def _described(field: Any) -> dict[str, Any]:
    """Describe a column by its type, in the words of the library ``datasets``."""
    import pyarrow as pa

    kind = field.type
    binary = pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
    if binary or (pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0):
        return {"_type": "Image"}
    return {"_type": "Value", "dtype": str(kind)}


State = tuple[Path, int, int]


def _state(path: Path) -> State:
    """Return what tells a file from what stood in its place before."""
    try:
        about = path.stat()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): restore it, or check the data path") from None
    return path, about.st_mtime_ns, about.st_size


@lru_cache(maxsize=1024)
def _mapped(path: Path, _mtime: int, _size: int) -> Any:
    pa = _pyarrow()
    with _broken_named(path):
        return pa.ipc.open_stream(pa.memory_map(str(path))).read_all()


@lru_cache(maxsize=64)
def _opened_parquet(path: Path, _mtime: int, _size: int) -> Any:
    _pyarrow()
    import pyarrow.parquet

    with _broken_named(path):
        return pyarrow.parquet.ParquetFile(str(path), memory_map=True)


@lru_cache(maxsize=KEPT_GROUPS)
def _read_group(path: Path, mtime: int, size: int, group: int, column: str) -> Any:
    source = _opened_parquet(path, mtime, size)
    return _sound(source.read_row_group(group, columns=[column], use_threads=False).column(0))


def _sound(column: Any) -> Any:
    """Check that no value of a column points outside it: a damaged or hostile file must not be followed."""
    column.validate(full=True)
    return column


@contextmanager
def _broken_named(path: Path) -> Iterator[None]:
    """Turn whatever pyarrow says of a damaged file into one sentence."""
    try:
        yield
    except (OSError, ValueError, KeyError, IndexError, NotImplementedError) as error:
        raise UserError(f"{path} cannot be read ({one_line(error)}): it is damaged, copy it again") from None


def _pyarrow() -> Any:
    try:
        import pyarrow
    except ImportError:
        raise UserError(
            "data sets in Arrow and Parquet files need pyarrow: install it with pip install 'tinysight[arrow]'"
        ) from None
    return pyarrow
