"""Further streams of a dataset's features, for guidance in training: their names, folders and checks.

A stream describes the same snippets as the features do, so that each video has the same number of rows in both.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mmwtal.datasets.records import audit_values
from mmwtal.formats.feature_files import check_feature_files, feature_path
from mmwtal.formats.findings import Finding, Kind
from mmwtal.formats.sidecar import read_sidecar
from mmwtal.structures import WTALDataSample
from mmwtal.utils.errors import UserError

# What guidance calls the base's own features and its embedding.
_TAKEN = ('inputs', 'feat')


@dataclass(frozen=True, kw_only=True)
class CheckedStreams:
    """What the checks found.

    Args:
        widths: Channels of each stream.
        findings: The faults, by video.
    """

    widths: dict[str, int]
    findings: list[Finding]


def stream_settings(streams: Mapping[str, str | Path] | None) -> dict[str, Path]:
    """Return the folder of each stream, as the config states it, after checking the names.

    Args:
        streams: Folders by name; None for no streams.

    Raises:
        UserError: If a name cannot be that of a field of a data sample.
    """
    if streams is None:
        return {}
    for name in streams:
        if not name.isidentifier() or name.startswith('_') or name in _TAKEN or hasattr(WTALDataSample, name):
            raise UserError(
                f'streams: {name!r} cannot be the name of a stream in a data sample; choose another word, such as '
                "streams=dict(clip='features-clip')"
            )
    return {name: Path(folder).expanduser() for name, folder in streams.items()}


def check_streams(folders: Mapping[str, Path], lengths: Mapping[str, int]) -> CheckedStreams:
    """Check the files of all streams: headers, widths, numbers of snippets, NaN and Inf.

    Args:
        folders: The folder of each stream.
        lengths: The number of snippets of the features, by video.

    Raises:
        UserError: If a folder does not exist.
    """
    widths: dict[str, int] = {}
    findings: list[Finding] = []
    for name, folder in folders.items():
        if not folder.is_dir():
            raise UserError(
                f'folder {folder} of the stream {name!r} does not exist: it must hold VIDEO.npy for each training '
                'video, with a row for each snippet of its features; make it (docs/custom_data.md; the embedded '
                'dataset: write it again with --overwrite), or leave the stream out of streams of the dataset'
            )
        sidecar = read_sidecar(folder)
        checked = check_feature_files(folder, lengths, width=None if sidecar is None else sidecar.width)
        findings += checked.findings
        findings += [
            Finding(
                kind=Kind.STREAM_LENGTH,
                video_id=video_id,
                detail=f'expected {lengths[video_id]} snippets, as its features have, found {length} in '
                f'{feature_path(folder, video_id)}',
            )
            for video_id, length in checked.lengths.items()
            if length != lengths[video_id]
        ]
        findings += audit_values(folder, list(checked.lengths))
        if checked.width is not None:
            widths[name] = checked.width
    return CheckedStreams(widths=widths, findings=findings)
