"""The files that inference writes: one of all videos for programs, and for each video what people look at."""

import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from mmwtal.apis.inference_pictures import result_page
from mmwtal.apis.localized import Failure, Localized
from mmwtal.apis.runtime import make_work_dir
from mmwtal.formats.action_texts import Action, distinct_actions, to_csv, to_webvtt
from mmwtal.utils.files import write_atomically
from mmwtal.version import __version__

JSON_NAME, CSV_NAME = 'predictions.json', 'predictions.csv'
CUES, PICTURES = 'vtt', 'pictures'


class ResultFolder:
    """Takes what is found in one video after the other and writes it.

    ``predictions.json``, in the format of ActivityNet's results with the ``meta`` of ``tools/test.py``, and
    ``predictions.csv`` are of all videos; ``vtt/VIDEO.vtt`` and ``pictures/VIDEO.png`` are each video's own.

    Args:
        path: The folder; it is made.
        formats: Which of ``json``, ``csv``, ``vtt`` and ``picture`` are written.
        meta: Where the predictions are from.

    Raises:
        UserError: If the folder cannot be made or written to.
    """

    def __init__(self, path: Path, *, formats: Collection[str], meta: Mapping[str, Any]) -> None:
        self._path = make_work_dir(path, option='--out')
        self._formats = frozenset(formats)
        self._meta = dict(meta)
        self._actions: dict[str, list[Action]] = {}
        self._failed: dict[str, str] = {}
        for kind, name in (('vtt', CUES), ('picture', PICTURES)):
            if kind in self._formats:
                make_work_dir(self._path / name, option='--out')

    def add(self, outcome: Localized | Failure) -> None:
        """Write the files of one video, and remember its actions, or why it failed."""
        name = outcome.source.name
        if isinstance(outcome, Failure):
            self._failed[name] = outcome.reason
            return
        self._actions[name] = outcome.actions
        if 'vtt' in self._formats:
            _write(self._path / CUES / f'{name}.vtt', to_webvtt(distinct_actions(outcome.actions)))
        if 'picture' in self._formats:
            result_page(outcome).save(self._path / PICTURES / f'{name}.png')

    def finish(self, unreached: Iterable[str] = ()) -> list[Path]:
        """Write the files of all videos; return all that was written.

        Args:
            unreached: Videos that were not looked at.
        """
        written = []
        if 'json' in self._formats:
            results = {name: [one.to_json() for one in actions] for name, actions in self._actions.items()}
            content = {'version': f'mmwtal {__version__}', 'results': results, 'external_data': {}}
            left_out = [*self._failed, *unreached]
            meta = {**self._meta, 'left_out': left_out, 'failures': self._failed}
            written.append(self._path / JSON_NAME)
            _write(written[-1], json.dumps({**content, 'meta': meta}))
        if 'csv' in self._formats:
            written.append(self._path / CSV_NAME)
            _write(written[-1], to_csv(self._actions))
        folders = [name for kind, name in (('vtt', CUES), ('picture', PICTURES)) if kind in self._formats]
        return [*written, *(self._path / name for name in folders if self._actions)]


def _write(path: Path, text: str) -> None:
    write_atomically(path, lambda file: file.write(text.encode()))
