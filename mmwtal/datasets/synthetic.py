"""The embedded dataset: a small one that has the difficulties of the field, written as any other data root.

It serves to try the toolbox and to test it; figures on it say nothing about real videos.
"""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from mmwtal.conversion.audit import ConversionLog
from mmwtal.conversion.data_root import DataRootWriter, to_json
from mmwtal.datasets.synthetic_clip import ClipConfig, ClipWriter
from mmwtal.datasets.synthetic_text import describe, to_glove, word_vectors
from mmwtal.datasets.synthetic_video import (
    FPS,
    STRIDE,
    SUBSET_STREAMS,
    TEXT_STREAM,
    SyntheticConfig,
    SyntheticVideo,
    World,
    make_video,
    make_world,
    render_video,
)
from mmwtal.structures.timebase import Timebase

TEXTS_NAME = 'texts.json'
VECTORS_NAME = 'vectors.txt'


def make_videos(config: SyntheticConfig, world: World) -> Iterator[tuple[str, str, SyntheticVideo, np.ndarray]]:
    """Yield the id, the subset, the content and the features (T, D) of every video.

    A video depends on the seed, its subset and its number only: more videos leave the first ones as they are.
    """
    for subset, count in (('training', config.num_train), ('test', config.num_test)):
        for number in range(count):
            rng = np.random.default_rng([config.seed, SUBSET_STREAMS[subset], number])
            video = make_video(config, world, rng, number % config.num_classes)
            yield f'synthetic_{subset}_{number:04d}', subset, video, render_video(config, world, rng, video)


def write_synthetic(
    root: str | Path, *, overwrite: bool = False, clip: ClipConfig | None = None, **settings: Any
) -> dict[str, Any]:
    """Write the embedded dataset: features, annotations, texts of the training videos and word vectors.

    The files are a function of the settings alone, byte for byte. Beside a data root's own files the top folder gets
    ``texts.json``, ``{video: {label: {"key": [phrases], "complete": sentences, "key_words": [words]}}}``, and
    ``vectors.txt`` in GloVe's text format; the texts are also in the prior store ``priors/``. ``features-clip/``
    holds a second stream of features, aligned with the word vectors; see :mod:`~mmwtal.datasets.synthetic_clip`.

    Args:
        root: The data root to write.
        overwrite: Replace an earlier data root.
        clip: The settings of the second stream; its defaults if not given. No other file depends on them.
        **settings: The fields of :class:`SyntheticConfig`: ``seed``, ``num_train``, ``num_test``, the difficulties.

    Returns:
        The audit.

    Raises:
        UserError: If a setting is out of range, or ``root`` holds a data root already.
    """
    config = SyntheticConfig(**settings)
    world = make_world(config)
    timebase = Timebase(fps=FPS, stride=STRIDE)
    log = ConversionLog(converter='synthetic', sources=asdict(config))
    log.remarks.append('a made-up dataset to try the toolbox with: figures on it say nothing about real videos')
    writer = DataRootWriter(root, log=log, overwrite=overwrite)
    vectors = word_vectors(config, world)
    stream = ClipWriter(writer.root, config=config, clip=clip or ClipConfig(), vectors=vectors)
    database, texts = {}, {}
    for number, (video_id, subset, video, features) in enumerate(make_videos(config, world)):
        writer.add_features(video_id, features)
        stream.add(video_id, video)
        database[video_id] = _annotation(config, timebase, subset, video)
        if subset == 'training':
            wording = np.random.default_rng([config.seed, TEXT_STREAM, number])
            texts[video_id] = describe(video, config.classes, wording)
    writer.write_text(TEXTS_NAME, to_json(texts))
    writer.write_text(VECTORS_NAME, to_glove(vectors))
    # Datasets are looked up where there are no texts; only writing this one needs a store.
    from mmwtal.priors.store import STORE_NAME, PriorStore
    from mmwtal.priors.texts_file import import_texts

    store = PriorStore(writer.root / STORE_NAME)
    import_texts(writer.root / TEXTS_NAME, store, source='synthetic', overwrite=overwrite)
    modalities = {'rgb': [0, config.width], 'flow': [config.width, 2 * config.width]}
    grid = {'fps': FPS, 'stride': STRIDE, 'window': STRIDE}
    stream.finish(grid)
    sidecar = {**grid, 'model': 'synthetic', 'modalities': modalities}
    return writer.finish(database=database, classes=config.classes, sidecar=sidecar)


def _annotation(config: SyntheticConfig, timebase: Timebase, subset: str, video: SyntheticVideo) -> dict[str, Any]:
    bounds = timebase.to_seconds(np.array([[start, end] for _, start, end in video.instances])).round(2)
    names = [config.classes[c] for c, *_ in video.instances]
    return {
        'subset': subset,
        'duration': float(timebase.to_seconds(len(video.phase)).round(2)),
        'annotations': [{'label': n, 'segment': b} for n, b in zip(names, bounds.tolist(), strict=True)],
    }
