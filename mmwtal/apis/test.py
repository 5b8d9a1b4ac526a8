"""Testing: what ``tools/test.py`` runs."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.runner import Runner

from mmwtal.apis.provenance import file_sha256, model_meta
from mmwtal.apis.runtime import build_runner, make_work_dir, prepare_runtime, refused_values
from mmwtal.apis.settings import check_against_data, resolve_auto, unguided, weights_for
from mmwtal.engine.checkpoint import find_checkpoint, load_weights, read_checkpoint
from mmwtal.engine.train_loop import unwrap
from mmwtal.evaluation import EvaluationResult
from mmwtal.evaluation.metrics.wtal_metric import WTALMetric
from mmwtal.utils.config.digest import config_sha256
from mmwtal.utils.errors import UserError
from mmwtal.utils.files import write_atomically


@dataclass(frozen=True, kw_only=True)
class TestReport:
    """What a test made: the scores and where the files are."""

    __test__ = False  # not a test class, whatever pytest makes of the name

    result: EvaluationResult
    meta: dict[str, Any]
    checkpoint: Path
    log_dir: Path
    predictions_file: Path
    result_file: Path


def test_localizer(
    cfg: Config, checkpoint: str | Path, *, dump: str | Path | None = None, launcher: str = 'none'
) -> TestReport | None:
    """Test a checkpoint on the test split; of guidance, which inference does not need, nothing is built nor loaded.

    Args:
        cfg: A checked config, see :func:`mmwtal.apis.settings.prepare_config`.
        checkpoint: A checkpoint, or a work dir, of which the newest checkpoint is taken.
        dump: Where the predictions go, and the scores beside them: with ``p.json``, into ``p.result.json``. By
            default ``predictions.json`` and ``result.json`` in the work dir.
        launcher: ``none``, ``pytorch``, ``slurm`` or ``mpi``.

    Returns:
        The report; None in processes other than the main one.

    Raises:
        UserError: For anything that the user can mend.
    """
    for key in ('test_dataloader', 'test_cfg', 'test_evaluator'):
        if cfg.get(key) is None:
            raise UserError(f'testing needs {key}, which the config does not set')
    config_hash = config_sha256(cfg)  # of the config as written: later steps put into it what data and machine say
    cfg = unguided(cfg)
    prepare_runtime(cfg, launcher=launcher)
    work_dir = make_work_dir(cfg.work_dir)
    predictions_file, result_file = work_dir / 'predictions.json', work_dir / 'result.json'
    if dump is not None:
        predictions_file = Path(dump).expanduser()
        result_file = predictions_file.with_suffix('.result.json')
    make_work_dir(predictions_file.parent)
    for file in (predictions_file, result_file):
        if file.is_dir():
            raise UserError(f'{file} is a folder: name a file for the predictions')
    path = find_checkpoint(checkpoint)
    saved = weights_for(cfg, read_checkpoint(path))
    resolve_auto(cfg, checkpoint=saved, dataloader='test_dataloader')
    cfg.resume, cfg.load_from = False, None

    runner = build_runner(cfg)
    load_weights(unwrap(runner.model), saved, path)
    with refused_values():
        dataset = runner.test_dataloader.dataset
    check_against_data(unwrap(runner.model), dataset, saved)
    metric = _metric(runner)
    _check_shared_videos(dataset, metric)
    runner.test()
    if not is_main_process():
        return None
    result = metric.result
    assert result is not None
    assert metric.predictions is not None
    meta = {'protocol': result.protocol, **model_meta(cfg, config_hash, path, saved), **_external_scores_meta(dataset)}
    meta['left_out'] = list(dataset.left_out)
    _write_json(predictions_file, {**metric.predictions, 'meta': meta})
    _write_json(result_file, {**result.to_dict(), 'meta': meta})
    return TestReport(
        result=result,
        meta=meta,
        checkpoint=path,
        log_dir=Path(runner.log_dir),
        predictions_file=predictions_file,
        result_file=result_file,
    )


def _metric(runner: Runner) -> WTALMetric:
    for metric in runner.test_evaluator.metrics:
        if isinstance(metric, WTALMetric):
            return metric
    raise UserError("test_evaluator holds no metric of type 'WTALMetric', which makes predictions and scores")


def _check_shared_videos(dataset: Any, metric: WTALMetric) -> None:
    """Check before the inference that there is something to evaluate."""
    truth = metric.ground_truth
    if set(truth.video_ids).isdisjoint(dataset.video_ids):
        raise UserError(
            f'test_dataloader has subset {dataset.subset!r} of {dataset.ann_file}, test_evaluator subset '
            f'{truth.subset!r}, and no video is in both: {dataset.video_ids[0]} is in the first, '
            f'{truth.video_ids[0]} in the second; give both the same annotation file and subset'
        )


def _external_scores_meta(dataset: Any) -> dict[str, Any]:
    """Return what marks a result that owes its video scores to something else than the model."""
    path = getattr(dataset, 'external_scores', None)
    if path is None:
        return {}
    return dict(video_scores=dict(source='external video scores', file=path.name, sha256=file_sha256(path)))


def _write_json(path: Path, content: dict[str, Any]) -> None:
    write_atomically(path, lambda file: file.write(json.dumps(content).encode()))
