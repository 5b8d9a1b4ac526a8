"""Records as one Parquet file, for tools that know tables and not ledgers."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mmwtal.utils.errors import UserError
from mmwtal.utils.extras import require
from mmwtal.utils.files import write_atomically


def merge(records: Iterable[Mapping[str, Any]], path: Path) -> int:
    """Write records into one Parquet file, a row each; the file appears when it is complete.

    Objects, such as details and faults, become JSON texts, and so do columns whose values differ in type. What a record
    does not state is null.

    Args:
        records: Those that count, as :func:`~mmwtal.offline.ledger.latest` gives them.
        path: The file.

    Returns:
        The number of rows.

    Raises:
        UserError: If pyarrow is not installed, or there are no records.
        OSError: If the file cannot be written.
    """
    arrow, parquet = require('pyarrow', 'priors'), require('pyarrow.parquet', 'priors')
    rows = list(records)
    if not rows:
        raise UserError(f'there are no records yet, {path} is not written: run the job first')
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = arrow.table({name: _column(arrow, [row.get(name) for row in rows]) for name in names})
    write_atomically(path, lambda file: parquet.write_table(table, file, compression='zstd'))
    return len(rows)


def _column(arrow: Any, values: list[Any]) -> Any:
    if not any(isinstance(value, dict) for value in values):
        try:
            column = arrow.array([_encodable(value) if isinstance(value, str) else value for value in values])
        except (arrow.ArrowInvalid, arrow.ArrowTypeError):
            pass
        else:
            return _typed(arrow, column)
    texts = [None if value is None else _encodable(json.dumps(value, ensure_ascii=False)) for value in values]
    return arrow.array(texts, arrow.string())


def _encodable(text: str) -> str:
    """Return a text with halves of surrogate pairs escaped, which JSON may hold and UTF-8 may not."""
    return text.encode(errors='backslashreplace').decode()


def _typed(arrow: Any, column: Any) -> Any:
    """Give a column of nothing, or of empty lists, the type that it has in other files of the kind."""
    if arrow.types.is_null(column.type):
        return column.cast(arrow.string())
    if arrow.types.is_list(column.type) and arrow.types.is_null(column.type.value_type):
        return column.cast(arrow.list_(arrow.string()))
    return column
