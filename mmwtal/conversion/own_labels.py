"""Labels and segments of own videos, from CSV files to the database of a data root."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmwtal.conversion.label_csv import Instance, read_labels, read_segments


@dataclass(frozen=True, kw_only=True)
class Labels:
    """The labels of own videos, as CSV files state them.

    Args:
        training: Labels by training video.
        test: Instances by test video.
        classes: The class names.
    """

    training: Mapping[str, list[str]]
    test: Mapping[str, list[Instance]]
    classes: list[str]

    @property
    def videos(self) -> list[str]:
        """Every video, once."""
        return list(dict.fromkeys([*self.training, *self.test]))


def read_own_labels(path: Path, test_csv: Path | None, classes: list[str] | None, problems: list[str]) -> Labels:
    """Read the CSV files of labels.

    Args:
        path: Labels of the training videos.
        test_csv: Segments of the test videos, if there are any.
        classes: The class names in their order; None for the labels, sorted.
        problems: Faults within and between the files are appended.
    """
    training = read_labels(path, problems)
    test = read_segments(test_csv, problems) if test_csv else {}
    problems += [f'video {video} is in {path} and in {test_csv}' for video in training if video in test]
    used = dict.fromkeys(name for names in training.values() for name in names)
    used |= dict.fromkeys(instance.label for instances in test.values() for instance in instances)
    classes = classes or sorted(used)
    unknown = [name for name in used if name not in classes]
    problems += [f'label {name!r} is not among --classes {",".join(classes)}' for name in unknown]
    if not used:
        problems.append(f'{path}: no video has a label')
    return Labels(training=training, test=test, classes=classes)


def make_database(
    labels: Labels, durations: Mapping[str, float], train_subset: str, problems: list[str]
) -> dict[str, dict[str, Any]]:
    """Return the ``database`` of ``annotations.json`` for the videos whose duration is known."""
    database: dict[str, dict[str, Any]] = {}
    for video, duration in durations.items():
        if video in labels.training:
            entry: dict[str, Any] = {'subset': train_subset, 'duration': duration, 'annotations': []}
            database[video] = {**entry, 'labels': labels.training[video]}
            continue
        instances = labels.test[video]
        problems += [
            f'video {video}: {instance.label} [{instance.start:g}, {instance.end:g}] starts after the video '
            f'({duration:g} s): times are in seconds'
            for instance in instances
            if instance.start >= duration
        ]
        annotations = [{'label': instance.label, 'segment': [instance.start, instance.end]} for instance in instances]
        database[video] = {'subset': 'test', 'duration': duration, 'annotations': annotations}
    return database
