"""The cells of a plan, one for each data, base and arm, and their runs."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmwtal.apis.ablation.options import layered, option_words
from mmwtal.apis.ablation.plan import Arm, Plan
from mmwtal.apis.seed_runs import SeedRun, seed_folder
from mmwtal.apis.settings import prepare_config
from mmwtal.utils.config.digest import config_sha256, imports_sha256
from mmwtal.utils.errors import UserError

_DIGITS = 12  # of the hash in a folder's name


@dataclass(frozen=True, kw_only=True)
class Cell:
    """An arm of a base on some data.

    Args:
        data: The data.
        base: The base.
        arm: The arm.
        config: The config file, relative to the repository where it lies in it.
        options: The words after ``--cfg-options``.
        cfg: The config with these options.
        folder: Holds ``seed_N/`` of each run. Its name ends with a hash of the config, so that a changed arm has a new
            folder, and one that was renamed keeps its own.
        seeds: The seeds that it is run with.
    """

    data: str
    base: str
    arm: Arm
    config: str
    options: tuple[str, ...]
    cfg: Config
    folder: Path
    seeds: tuple[int, ...]

    @property
    def name(self) -> str:
        """What messages call it."""
        return f'{self.data}/{self.base}/{self.arm.name}'

    def run(self, seed: int, plan: Plan, repository: Path, data_root: Path | None) -> SeedRun:
        """Return the run of a seed."""
        return SeedRun(
            config=str(repository / self.config),
            seed=seed,
            folder=seed_folder(self.folder, seed),
            data_root=data_root,
            options=self.options,
            select_on_test=plan.select_on_test,
            name=f'{self.name} seed {seed}',
        )


def make_cells(plan: Plan, *, chosen: str, repository: Path, work_dir: Path) -> list[Cell]:
    """Return the cells of a plan, their configs read and checked.

    Args:
        plan: The plan.
        chosen: Name of the set of seeds.
        repository: What relative paths of configs refer to.
        work_dir: Holds the runs.

    Raises:
        UserError: If a config is faulty with the options of an arm, or has another rule than the plan; all such faults
            are in one message.
    """
    cells: list[Cell] = []
    faults: list[str] = []
    for data, base, arm in _places(plan):
        try:
            cells.append(_cell(plan, data, base, arm, chosen=chosen, repository=repository, work_dir=work_dir))
        except UserError as error:
            faults.append(f'{data}/{base}/{arm.name}: {error}')
    if faults:
        raise UserError('\n  '.join([f'plan {plan.name}: {len(faults)} arms are faulty, nothing was run', *faults]))
    if not cells:
        raise UserError(f'plan {plan.name}: no arm is run with any base and data; see bases and data of the arms')
    return _sharing_folders(cells)


def in_order_of_runs(cells: Sequence[Cell]) -> Iterator[tuple[Cell, int]]:
    """Yield each cell and seed: all arms of a base and seed together, as they are compared."""
    for data in dict.fromkeys(cell.data for cell in cells):
        own = [cell for cell in cells if cell.data == data]
        for seed in dict.fromkeys(seed for cell in own for seed in cell.seeds):
            yield from ((cell, seed) for cell in own if seed in cell.seeds)


def _places(plan: Plan) -> Iterator[tuple[str, str, Arm]]:
    for data in plan.data:
        for base in plan.bases.values():
            if data in base.configs:
                yield from (
                    (data, base.name, arm) for arm in plan.arms.values() if data in arm.data and base.name in arm.bases
                )


def _cell(plan: Plan, data: str, base: str, arm: Arm, *, chosen: str, repository: Path, work_dir: Path) -> Cell:
    template = arm.config or plan.bases[base].configs[data]
    try:
        config = template.format(base=base, variant=arm.variant, data=data)
    except (KeyError, IndexError, ValueError) as error:
        raise UserError(
            f'config {template!r}: expected no place holder but {{base}}, {{variant}} and {{data}}: {error}'
        ) from None
    options = layered(plan.options, plan.bases[base].options, arm.options(base))
    cfg = prepare_config(repository / config, cfg_options=options)
    _check_config(plan, cfg)
    content = {'config': config_sha256(cfg), 'imports': imports_sha256(cfg), 'select_on_test': plan.select_on_test}
    if cfg.get('load_from') is not None:
        content['load_from'] = cfg.load_from
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:_DIGITS]
    parent = work_dir / data / base
    earlier = sorted(parent.glob(f'*-{digest}'))
    return Cell(
        data=data,
        base=base,
        arm=arm,
        config=config,
        options=option_words(options),
        cfg=cfg,
        folder=earlier[0] if earlier else parent / f'{arm.name}-{digest}',
        seeds=plan.seeds_of(arm, chosen),
    )


def _check_config(plan: Plan, cfg: Config) -> None:
    evaluator: Mapping[str, Any] = cfg.get('test_evaluator') or {}
    if not isinstance(evaluator, dict) or evaluator.get('protocol') != plan.protocol:
        found = evaluator.get('protocol') if isinstance(evaluator, dict) else None
        raise UserError(f'test_evaluator.protocol is {found!r}, the plan states {plan.protocol!r}; change one of them')


def _sharing_folders(cells: Sequence[Cell]) -> list[Cell]:
    """Let arms that are the same config for a base share their runs."""
    folders: dict[tuple[str, str, str], Path] = {}
    shared = []
    for cell in cells:
        key = (cell.data, cell.base, cell.folder.name[-_DIGITS:])
        shared.append(replace(cell, folder=folders.setdefault(key, cell.folder)))
    return shared
