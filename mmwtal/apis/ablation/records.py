"""What an ablation notes of a run beside its result: on which data, by which code, in what time."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmwtal.utils.errors import UserError
from mmwtal.utils.files import write_atomically
from mmwtal.utils.json_file import finite_number, read_json_object

RECORD_NAME = 'ablation.json'
MEASURED_NAME = 'attention_quality.json'
# Figure of the file -> head of its column.
MEASURED = {
    'incompleteness': 'incompleteness',
    'over_completeness': 'over-completeness',
    'missed': 'missed',
    'ap.base': 'AP base',
    'ap.key': 'AP key',
    'ap.complete': 'AP complete',
    'ap.base_test': 'AP base, test',
}


def annotations_sha256(data_root: Path) -> str:
    """Return by what a data root is known again: the hash of its annotation file."""
    file = data_root / 'annotations.json'
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(f'{file}: cannot be read ({error.strerror}); give the folder of a data root') from None


def read_record(folder: Path) -> dict[str, Any]:
    """Return what is noted of a run; an empty one where it was not begun."""
    file = folder / RECORD_NAME
    return dict(read_json_object(file, what='notes on a run')) if file.is_file() else {}


def begin_record(folder: Path, *, data: str, source: str, threads: int) -> None:
    """Note on which data and by which code a run is begun or continued.

    Args:
        folder: The run's folder.
        data: Hash of the data.
        source: Hash of the package's code.
        threads: How many the run has.

    Raises:
        UserError: If the run was begun on other data.
    """
    record = read_record(folder)
    check_data(record, folder, data)
    changes: dict[str, Any] = {'data': data}
    for key, value in (('source', source), ('threads', threads)):
        earlier = record.get(key, [])
        changes[key] = [*earlier, *([] if value in earlier[-1:] else [value])]
    _write(folder, {**record, **changes})


def check_data(record: Mapping[str, Any], folder: Path, data: str) -> None:
    """Refuse a run that was made on other data than asked for."""
    if record.get('data', data) != data:
        raise UserError(
            f'{folder}: holds a run on other data (annotations.json of hash {record["data"][:12]}, now {data[:12]}); '
            'choose another --work-dir, or delete the folder'
        )


def forget_measured(folder: Path) -> None:
    """Remove what was measured of an earlier training."""
    (folder / MEASURED_NAME).unlink(missing_ok=True)


def add_seconds(folder: Path, step: str, seconds: float) -> None:
    """Note how long a command of a run took; what is known of one that was begun again is its last part."""
    record = read_record(folder)
    before = record.get('seconds', {})
    _write(folder, {**record, 'seconds': {**before, step: round(before.get(step, 0.0) + seconds, 1)}})


def read_measured(folder: Path) -> dict[str, float | None] | None:
    """Return what was measured of a run by the names of :data:`MEASURED`, None where nothing was.

    Raises:
        UserError: If the file is malformed.
    """
    file = folder / MEASURED_NAME
    if not file.is_file():
        return None
    content = read_json_object(file, what='measured attention')
    found: dict[str, float | None] = {}
    for name in MEASURED:
        outer, _, inner = name.partition('.')
        value: Any = content.get(outer)
        value = value.get(inner) if inner and isinstance(value, dict) else value
        found[name] = finite_number(value)
        if found[name] is None and value is not None:
            raise UserError(
                f'{file}: expected a number or null under {name!r}, found {value!r}; delete it, and run again'
            )
    return found


def _write(folder: Path, record: Mapping[str, Any]) -> None:
    text = json.dumps(record, indent=1) + '\n'
    write_atomically(folder / RECORD_NAME, lambda file: file.write(text.encode()))
