"""Which videos and labels a dataset has: those of its subset, without blocked and short ones; the log says what not."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from mmengine.logging import print_log

from mmwtal.formats.annotations import AnnotationSet, VideoAnnotation
from mmwtal.formats.checks import CheckedVideo
from mmwtal.formats.video_list import read_video_list
from mmwtal.utils.errors import UserError


def existing_root(data_root: str | Path) -> Path:
    """Return the folder of a data root.

    Raises:
        UserError: If it is none.
    """
    root = Path(data_root).expanduser()
    if not root.is_dir():
        # The folder that the quick configs name: what a newcomer runs first.
        embedded = root.name == 'synthetic'
        how = f'python tools/dataset_converters/synthetic.py {root}' if embedded else 'tools/dataset_converters/'
        raise UserError(f'data root {root} is not a folder; give --data-root, or make it with {how}')
    return root


def choose_videos(annotations: AnnotationSet, subset: str, *, blocked: Path | None) -> list[VideoAnnotation]:
    """Return the videos of a subset without the blocked ones.

    Args:
        annotations: The annotation file.
        subset: One of its subsets.
        blocked: File of ids to leave out; see :func:`~mmwtal.formats.video_list.read_video_list`.

    Raises:
        UserError: If the subset has no video, or all are blocked.
    """
    videos = annotations.in_subset(subset)
    if not videos:
        present = ', '.join(f'{name} ({count} videos)' for name, count in annotations.subset_counts().items())
        raise UserError(f'{annotations.path} has no video in subset {subset!r}; present: {present or "none"}')
    if blocked is None:
        return videos
    left_out = set(read_video_list(blocked))
    kept = [video for video in videos if video.video_id not in left_out]
    if not kept:
        raise UserError(f'{blocked} blocks all {len(videos)} videos of subset {subset!r} in {annotations.path}')
    print_log(
        f'{len(videos) - len(kept)} of {len(videos)} videos of subset {subset!r} left out: in {blocked}',
        logger='current',
    )
    return kept


def long_enough(videos: dict[str, CheckedVideo], min_snippets: int, *, origin: str) -> dict[str, CheckedVideo]:
    """Return the videos, by id, that have ``min_snippets`` or more; ``origin`` says in the log whose they are."""
    short = [name for name, video in videos.items() if video.num_snippets < min_snippets]
    if short:
        names = ', '.join(short[:5]) + (', ...' if len(short) > 5 else '')
        print_log(
            f'{len(short)} of {len(videos)} videos of {origin} left out: fewer than min_snippets={min_snippets} '
            f'snippets ({names})',
            logger='current',
        )
    return {name: video for name, video in videos.items() if name not in short}


def check_labels(videos: Sequence[CheckedVideo], classes: Sequence[str], *, origin: str, needed: bool) -> None:
    """Log how many labels are of none of the classes.

    Args:
        videos: The videos.
        classes: The classes of the dataset.
        origin: Whose videos they are, for the message.
        needed: Whether there must be a label, as in training.

    Raises:
        UserError: If a label is needed and there is none.
    """
    labels = Counter(label for video in videos for label in video.annotation.labels)
    unwanted = {label: count for label, count in labels.items() if label not in classes}
    if needed and len(unwanted) == len(labels):
        raise UserError(f'no video of {origin} has a label: nothing to learn; expected labels of {classes}')
    if unwanted:
        print_log(
            f'{origin}: {len(unwanted)} classes that metainfo["classes"] does not name are left out, with '
            f'{sum(unwanted.values())} video labels',
            logger='current',
        )
