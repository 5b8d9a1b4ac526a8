"""The measurements of benchmarks/extraction.py."""

import multiprocessing
import re
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import torch

from benchmarks.extraction_video import write_film
from mmwtal.features.extractor import VideoExtractor
from mmwtal.features.job import FeatureExtraction
from mmwtal.offline.folder import run_folder
from mmwtal.offline.plan import plan_videos
from mmwtal.video.flow import DISFlow, FlowMethod, TVL1Flow
from mmwtal.video.probe import probe_video
from mmwtal.video.reader import iterate_frames

SHORT_SIDE = 256
_BATCH = 4
_FLOW_PAIRS = 3

DECODERS = ('mmwtal', 'PyAV', 'OpenCV')
FLOWS: dict[str, FlowMethod] = {
    'DIS flow, fast': DISFlow(preset='fast'),
    'DIS flow, medium': DISFlow(),
    'TV-L1 flow': TVL1Flow(),
}


def decoding(film: Path, *, rounds: int) -> dict[str, list[float]]:
    """Return frames a second of each way to read a film, in each round."""
    ways: dict[str, Callable[[Path], int]] = {'mmwtal': _by_us, 'PyAV': _by_pyav, 'OpenCV': _by_opencv}
    cv2.setNumThreads(1)
    found: dict[str, list[float]] = {side: [] for side in DECODERS}
    for number in range(rounds + 1):
        for side in DECODERS if number % 2 else DECODERS[::-1]:
            start = time.perf_counter()
            frames = ways[side](film)
            if number:  # the first round warms up
                found[side].append(frames / (time.perf_counter() - start))
    return found


def _by_us(film: Path) -> int:
    return sum(1 for _ in iterate_frames(film, 25.0, short_side=SHORT_SIDE, enlarge=True))


def _by_pyav(film: Path) -> int:
    import av

    count = 0
    with av.open(str(film)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        factor = SHORT_SIDE / min(stream.width, stream.height)
        width, height = round(stream.width * factor), round(stream.height * factor)
        for frame in container.decode(stream):
            frame.to_ndarray(format='rgb24', width=width, height=height, threads=1)
            count += 1
    return count


def _by_opencv(film: Path) -> int:
    capture, count = cv2.VideoCapture(str(film), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1]), 0
    while True:
        more, picture = capture.read()
        if not more:
            capture.release()
            return count
        factor = SHORT_SIDE / min(picture.shape[:2])
        size = round(picture.shape[1] * factor), round(picture.shape[0] * factor)
        cv2.cvtColor(cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR), cv2.COLOR_BGR2RGB)
        count += 1


def shares(film: Path, *, rounds: int) -> dict[str, list[float]]:
    """Return the seconds that each part takes for a snippet of 16 frames, in each round."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    pictures = [picture for _, picture in iterate_frames(film, 25.0, end=0.5, short_side=SHORT_SIDE, enlarge=True)]
    pictures = pictures[: _FLOW_PAIRS + 1]
    parts: dict[str, list[float]] = {}
    for _ in range(rounds):
        start = time.perf_counter()
        frames = _by_us(film)
        parts.setdefault('decoding', []).append((time.perf_counter() - start) / frames * 16)
        for name, method in FLOWS.items():
            flow, start = method.of_video(film, 25.0), time.perf_counter()
            for number in range(_FLOW_PAIRS):
                flow.after(number, pictures[number], pictures[number + 1])
            parts.setdefault(name, []).append((time.perf_counter() - start) / _FLOW_PAIRS * 16)
        for one in i3d(flow=True).streams:
            clips = torch.rand(_BATCH, one.backbone.channels, 16, 224, 224)
            parts.setdefault(f'I3D, {"RGB" if one.name == "rgb" else one.name}', []).append(
                1 / _alone([one.backbone], [clips], _BATCH)
            )
    return parts


def i3d(*, flow: bool) -> VideoExtractor:
    """Return an extractor of I3D with random weights on the CPU, of two streams or RGB alone."""
    streams: list[Mapping[str, Any]] = [{'name': 'rgb', 'backbone': {'type': 'InceptionI3D', 'modality': 'rgb'}}]
    if flow:
        backbone = {'type': 'InceptionI3D', 'modality': 'flow'}
        streams.append({'name': 'flow', 'backbone': backbone, 'flow': {'type': 'DISFlow', 'preset': 'fast'}})
    return VideoExtractor(streams=streams, batch_size=_BATCH, device='cpu')


def busy_network(film: Path, folder: Path, *, flow: bool, rounds: int) -> dict[str, Any]:
    """Return snippets a second of a job on two films and of its networks alone, in each round."""
    torch.set_num_threads(1)
    videos = folder / 'videos'
    videos.mkdir(parents=True)
    for name in ('a', 'b'):
        shutil.copy(film, videos / f'{name}.mp4')
    plan = plan_videos(videos, None, probe_video)
    extractor = i3d(flow=flow)
    networks = [one.backbone for one in extractor.streams]
    clips = [torch.rand(_BATCH, one.channels, 16, 224, 224) for one in networks]
    snippets = 0
    found: dict[str, list[float]] = {'job': [], 'alone': []}
    for number in range(rounds):
        root = folder / str(number)
        job = FeatureExtraction(extractor=extractor, data_root=root, store=root / 'extraction', decoders=1)
        job.store.begin(job.identity)
        start = time.perf_counter()
        run_folder(job, plan, job.store.folder)
        seconds = time.perf_counter() - start
        snippets = sum(record['snippets'] for record in job.store.done().values())
        found['job'].append(snippets / seconds)
        found['alone'].append(_alone(networks, clips, snippets))
    return {'snippets': snippets, **found}


@torch.inference_mode()
def _alone(networks: Sequence[Any], clips: Sequence[torch.Tensor], snippets: int) -> float:
    """Return snippets a second of networks on clips in memory."""
    batches = max(1, snippets // len(clips[0]))
    start = time.perf_counter()
    for _ in range(batches):
        for network, one in zip(networks, clips, strict=True):
            network(one)
    return batches * len(clips[0]) / (time.perf_counter() - start)


def memory_by_length(folder: Path, minutes: Sequence[float]) -> list[dict[str, float]]:
    """Return the peak memory of extracting films of several lengths, each in a process of its own."""
    rows: list[dict[str, float]] = []
    for length in minutes:
        film = write_film(folder / f'{length}.mp4', seconds=60 * length, fps=5, size=(160, 120))
        context = multiprocessing.get_context('spawn')
        with context.Pool(1) as pool:
            snippets, size, peak = pool.apply(_extracted, (film,))
        film.unlink()
        rows.append({'minutes': length, 'snippets': snippets, 'features_mib': size / 2**20, 'peak_mib': peak})
    return rows


def _extracted(film: Path) -> tuple[int, int, float]:
    """Extract a film in this process; return snippets, bytes of the features, and the process's peak memory in MiB."""
    torch.set_num_threads(1)
    streams = [{'name': 'rgb', 'backbone': {'type': 'TinyRandom'}}]
    features = VideoExtractor(streams=streams, device='cpu').extract(film).features
    status = Path('/proc/self/status').read_text()
    peak = re.search(r'VmHWM:\s+(\d+) kB', status)
    assert peak is not None
    return len(features), features.nbytes, int(peak[1]) / 1024
