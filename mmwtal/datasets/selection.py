"""Which videos a dataset has: those of its subset, without blocked and short ones; what is left out is logged."""

from pathlib import Path

from mmengine.logging import print_log

from mmwtal.formats.annotations import AnnotationSet, VideoAnnotation
from mmwtal.formats.checks import CheckedVideo
from mmwtal.formats.video_list import read_video_list
from mmwtal.utils.errors import UserError


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
