"""Packed images: sets of 10^5 files and more lie in Parquet files of their encoded bytes."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from causaliqa.errors import DataError

#: Between the file of a pack and the name of an image in it, in a manifest.
SEPARATOR = "!"
_PACKED = re.compile(rf"(?:.*/)?pack-\d{{5,}}\.parquet{SEPARATOR}.", re.DOTALL)
#: A pack is closed at this many images or bytes.
PACK_IMAGES = 1000
PACK_BYTES = 256 * 2**20
#: Images that lie together in a pack: what a reader holds at a time.
_GROUP = 16


def is_packed(image: str) -> bool:
    """Return whether a manifest's image lies in a pack; files of their own may have a ``!`` in their names too."""
    return _PACKED.match(image) is not None


def write_packs(folder: Path, prefix: str, members: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    """Write images to ``<folder>/<prefix>/pack-00000.parquet`` and so on; yield (image as in a manifest, bytes).

    Images are handed on as they pass, so that one pass decodes and stores them.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([("name", pa.string()), ("content", pa.binary())])
    number = count = size = 0
    group: list[tuple[str, bytes]] = []
    writer: Any = None
    target = Path(folder) / prefix
    target.mkdir(parents=True, exist_ok=True)

    def flush() -> None:
        if group:
            columns = [pa.array([name for name, _ in group]), pa.array([content for _, content in group], pa.binary())]
            writer.write_table(pa.table(columns, schema=schema), row_group_size=_GROUP)
            group.clear()

    try:
        for name, content in members:
            if writer is not None and (count >= PACK_IMAGES or size + len(content) > PACK_BYTES):
                flush()
                writer.close()
                writer, count, size, number = None, 0, 0, number + 1
            file = f"pack-{number:05d}.parquet"
            if writer is None:
                # Encoded images do not shrink further, and the least and greatest of them need not stand twice.
                writer = pq.ParquetWriter(
                    target / file, schema, compression="none", use_dictionary=False, write_statistics=False
                )
            group.append((name, content))
            count, size = count + 1, size + len(content)
            if len(group) == _GROUP:
                flush()
            yield f"{prefix}/{file}{SEPARATOR}{name}", content
        if writer is not None:
            flush()
    finally:
        if writer is not None:
            writer.close()


class PackReader:
    """Reads packed images; holds the names of a few packs and one group of images."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self._names = functools.lru_cache(maxsize=4)(self._read_names)
        self._group = functools.lru_cache(maxsize=2)(self._read_group)

    def _column(self, file: str, column: str, group: int | None = None) -> list[list[Any]]:
        """Return a column's values, one list a group of images, or of one group."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = self.folder / file
        try:
            with pq.ParquetFile(path) as pack:
                groups = range(pack.num_row_groups) if group is None else [group]
                return [pack.read_row_group(item, columns=[column]).column(column).to_pylist() for item in groups]
        except FileNotFoundError:
            raise DataError(f"{path}: missing; delete {self.folder} and fetch the dataset again") from None
        except (pa.ArrowException, OSError, KeyError) as error:
            reason = str(error).partition("\n")[0]
            raise DataError(
                f"{path}: truncated or not Parquet ({reason}); delete {self.folder} and fetch the dataset again"
            ) from None

    def _read_names(self, file: str) -> dict[str, tuple[int, int]]:
        groups = self._column(file, "name")
        return {name: (group, row) for group, names in enumerate(groups) for row, name in enumerate(names)}

    def _read_group(self, file: str, group: int) -> list[bytes]:
        return self._column(file, "content", group)[0]

    def read(self, image: str) -> bytes:
        """Return the bytes of an image named ``<pack>!<name>``.

        Raises
        ------
        DataError
            If the pack is missing or damaged, or does not hold the image.
        """
        file, _, name = image.partition(SEPARATOR)
        place = self._names(file).get(name)
        if place is None:
            raise DataError(f"{self.folder / file}: lacks {name!r}; delete {self.folder} and fetch the dataset again")
        return self._group(file, place[0])[place[1]]
