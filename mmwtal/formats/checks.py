"""The checks of a data set before it is used: entries, labels, feature files, time grids and lengths."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mmwtal.formats.annotations import VideoAnnotation, video_id_problem
from mmwtal.formats.feature_files import check_feature_files, feature_path
from mmwtal.formats.findings import Finding, Kind, faults, render, shown
from mmwtal.formats.sidecar import FeatureSidecar, timebase_of
from mmwtal.structures.timebase import Timebase
from mmwtal.utils.errors import UserError

# Lines that the report shows of each kind of fault.
REPORT_LINES = 20
# Share of the duration by which the span of the features may differ from it: containers often state the duration of a
# longer sound track, whereas a wrong fps or stride is off by more.
_SPAN_TOLERANCE = 0.1


@dataclass(frozen=True, eq=False, kw_only=True)
class CheckedVideo:
    """A video whose entry and feature file are sound.

    Args:
        annotation: Its entry in the annotation file.
        path: Its feature file.
        num_snippets: T.
        timebase: The time grid of its features.
    """

    annotation: VideoAnnotation
    path: Path
    num_snippets: int
    timebase: Timebase


@dataclass(frozen=True, eq=False, kw_only=True)
class CheckReport:
    """What the checks found.

    Args:
        width: D of the feature files; None if there is none that could be read.
        videos: The sound videos, in the order in which they were given.
        findings: Faults and notes.
        total: Number of videos that were checked.
    """

    width: int | None
    videos: list[CheckedVideo]
    findings: list[Finding]
    total: int


def check_videos(
    annotations: Sequence[VideoAnnotation],
    *,
    folder: Path,
    classes: Collection[str],
    sidecar: FeatureSidecar | None,
    fallback: Mapping[str, float],
    width: int | None,
    known_outside: Collection[str] = (),
) -> CheckReport:
    """Check videos by their entries and by the headers of their feature files, without reading any feature.

    Args:
        annotations: The videos.
        folder: The folder that holds the feature files.
        classes: The known class names.
        sidecar: The sidecar of the folder, if it has one.
        fallback: ``fps``, ``stride`` and ``window`` for what the sidecar leaves open.
        width: D where it is known; else the width that most files agree on.
        known_outside: Ids of videos that are known to have segments beyond their end: these are a note, not a fault.
    """
    usable_ids = [video.video_id for video in annotations if video_id_problem(video.video_id) is None]
    files = check_feature_files(folder, usable_ids, width=width)
    findings = list(files.findings)
    videos = []
    for video in annotations:
        found = [
            replace(finding, kind=Kind.PAST_END)
            if finding.kind is Kind.OUTSIDE and video.video_id in known_outside
            else finding
            for finding in video.findings
        ]
        found += _unknown_labels(video, classes)
        found += () if sidecar is None else sidecar.findings.get(video.video_id, ())
        length = files.lengths.get(video.video_id)
        try:
            timebase = timebase_of(video.video_id, sidecar=sidecar, fallback=fallback, duration=video.duration)
        except ValueError as error:
            found.append(Finding(kind=Kind.TIMEBASE, video_id=video.video_id, detail=str(error)))
        else:
            if length is not None:
                found += _check_length(video.video_id, length, timebase, sidecar)
                if not faults(found):
                    path = feature_path(folder, video.video_id)
                    videos.append(CheckedVideo(annotation=video, path=path, num_snippets=length, timebase=timebase))
        findings += found
    return CheckReport(width=files.width, videos=videos, findings=findings, total=len(annotations))


def raise_faults(findings: Sequence[Finding], *, origin: str, total: int) -> None:
    """Raise one error that shows the faults of all videos.

    Args:
        findings: Faults and notes; notes are not shown.
        origin: What was checked, for the message.
        total: Number of videos that were checked.

    Raises:
        UserError: If there is a fault.
    """
    found = faults(findings)
    if not found:
        return
    faulty = len({finding.video_id for finding in found})
    raise UserError(
        f'{faulty} of {total} videos of {origin} cannot be used.\n{render(found, limit=REPORT_LINES)}\n'
        "Mend them, or leave them out with on_fault='skip' of the dataset."
    )


def _unknown_labels(video: VideoAnnotation, classes: Collection[str]) -> list[Finding]:
    unknown = [label for label in dict.fromkeys((*video.labels, *video.segment_labels)) if label not in classes]
    if not unknown:
        return []
    detail = ', '.join(shown(label) for label in unknown)
    return [Finding(kind=Kind.UNKNOWN_LABEL, video_id=video.video_id, detail=f'not among the classes: {detail:.200}')]


def _check_length(video_id: str, length: int, timebase: Timebase, sidecar: FeatureSidecar | None) -> list[Finding]:
    findings = []

    def report(kind: Kind, detail: str) -> None:
        findings.append(Finding(kind=kind, video_id=video_id, detail=detail))

    stated = None if sidecar is None else sidecar.video(video_id)
    if stated is not None and stated.snippets not in (None, length):
        report(Kind.LENGTH, f'stated are {stated.snippets} snippets, the feature file has {length}')
    if stated is not None and stated.frames is not None:
        least, most = _expected_lengths(stated.frames, timebase)
        if not least <= length <= most:
            detail = f'{stated.frames} frames at stride {timebase.stride:g} make {least} to {most} snippets'
            report(Kind.LENGTH, f'{detail}, the feature file has {length}')
    span = length * timebase.seconds_per_snippet
    slack = 0.0 if timebase.duration is None else _SPAN_TOLERANCE * timebase.duration
    if timebase.duration is not None and abs(span - timebase.duration) > max(slack, 2 * timebase.seconds_per_snippet):
        detail = f'{length} snippets span {span:.1f} s, the duration is {timebase.duration:.1f} s'
        # A duration that stands in the sidecar, and nothing more exact with it, is what the length has to agree with.
        alone = stated is not None and stated.duration is not None and not (stated.snippets or stated.frames)
        report(Kind.LENGTH if alone else Kind.SPAN, detail)
    return findings


def _expected_lengths(frames: int, timebase: Timebase) -> tuple[int, int]:
    """Return the least and the greatest number of snippets that extraction makes of a number of frames.

    Extractors keep only whole windows or also a last partial one; one snippet of slack either way covers the rest.
    """
    window = timebase.stride if timebase.window is None else timebase.window
    whole = math.floor(max(frames - window, 0) / timebase.stride) + 1
    return max(1, min(whole, math.floor(frames / timebase.stride)) - 1), math.ceil(frames / timebase.stride) + 1
