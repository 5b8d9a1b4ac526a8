"""Which videos of a subset are evaluated. It is no part of a rule: any list goes with any rule.

The lists of THUMOS14 differ in two test videos whose released annotation is faulty: for 270 most instances lie past the
end of the video, for 1496 video label and instances name different classes. 212 videos: the released annotation arrays
(CO2-Net and its family, ActionFormer); 211: OpenTAD's file; 210: the files of BaS-Net's family and of STPN.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmwtal.evaluation.ground_truth import GroundTruth
from mmwtal.utils.errors import UserError
from mmwtal.utils.files import read_text


@dataclass(frozen=True, kw_only=True)
class VideoList:
    """A list of the videos to evaluate: the subset's without some, or some of the subset's.

    Args:
        name: Its name, or the name of the file it is from.
        excluded: Videos that are left out.
        video_list_hash: The :attr:`GroundTruth.video_list_hash` of what must be left, for a list that is known by name.
        included: The videos that are kept, where they are listed themselves.
    """

    name: str
    excluded: frozenset[str] = frozenset()
    video_list_hash: str | None = None
    included: frozenset[str] | None = None

    def apply(self, truth: GroundTruth) -> GroundTruth:
        """Return the ground truth of the listed videos.

        Raises:
            UserError: If the ground truth is not that of the list, or none of it is left.
        """
        missing = sorted((self.included or frozenset()) - set(truth.video_ids))
        if missing:
            raise UserError(
                f'video list {self.name}: {len(missing)} of its {len(self.included or ())} videos are not in subset '
                f'{truth.subset!r} of the ground truth, such as {", ".join(missing[:3])}; choose another subset or list'
            )
        if self.included is None:
            wanted = [video not in self.excluded for video in truth.video_ids]
        else:
            wanted = [video in self.included for video in truth.video_ids]
        kept = truth.of_videos(np.array(wanted, dtype=bool))
        if self.video_list_hash not in (None, kept.video_list_hash):
            raise UserError(
                f'video list {self.name}: expected the videos of THUMOS14 that it stands for (hash '
                f'{self.video_list_hash}), found {len(kept.video_ids)} videos (hash {kept.video_list_hash}) in subset '
                f'{truth.subset!r}; give the complete annotation, or a file that lists the ids to evaluate'
            )
        if not len(kept.videos):
            raise UserError(
                f'video list {self.name}: none of its videos has an annotated instance; choose another list'
            )
        return kept

    def left_out_of(self, truth: GroundTruth) -> frozenset[str]:
        """Return the videos that are left out on purpose; a video that no annotation knows is none of them."""
        return self.excluded if self.included is None else frozenset(truth.video_ids) - self.included


_LISTS = (
    VideoList(name='thumos14-212', video_list_hash='ca5aa54f9244'),
    VideoList(name='thumos14-211', excluded=frozenset({'video_test_0000270'}), video_list_hash='9f2adf05a42c'),
    VideoList(
        name='thumos14-210',
        excluded=frozenset({'video_test_0000270', 'video_test_0001496'}),
        video_list_hash='de7ff79742c3',
    ),
)
VIDEO_LISTS = {videos.name: videos for videos in _LISTS}


def get_video_list(name: str | Path) -> VideoList:
    """Return a list by its name, or read it from a file with one video id a line; empty lines do not count.

    Raises:
        UserError: If there is no list and no file of that name, or the file lists no video or one twice.
    """
    if name in VIDEO_LISTS:
        return VIDEO_LISTS[str(name)]
    path = Path(name).expanduser()
    what = f'video list (a file of ids, or one of {", ".join(VIDEO_LISTS)})'
    videos = [line.strip() for line in read_text(path, what=what).splitlines() if line.strip()]
    if not videos:
        raise UserError(f'video list {path}: expected one video id a line, found none')
    if len(set(videos)) < len(videos):
        twice = next(video for video in videos if videos.count(video) > 1)
        raise UserError(f'video list {path}: expected each video once, found {twice} more than once')
    return VideoList(name=path.name, included=frozenset(videos))
