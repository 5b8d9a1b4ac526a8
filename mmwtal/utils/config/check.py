"""Checks a merged config against the constructors that it will be passed to: nothing is built, no data are read."""

from typing import Any

from mmengine.config import Config
from mmengine.registry import Registry

from mmwtal.registry import OPTIM_WRAPPER_CONSTRUCTORS, RUNNERS
from mmwtal.utils.config.lookup import find_type, names_in
from mmwtal.utils.config.nodes import Key
from mmwtal.utils.config.origin import Origins
from mmwtal.utils.config.report import ConfigProblem, ConfigReport
from mmwtal.utils.config.rules import check_rules
from mmwtal.utils.config.slots import BUILT_IN_HOOKS, TOGETHER, TOP_LEVEL, has_custom_constructor, slot_of
from mmwtal.utils.config.walk import Walker
from mmwtal.utils.errors import UserError
from mmwtal.utils.names import nearest

__all__ = ['ConfigProblem', 'ConfigReport', 'check_config', 'inspect_config', 'require_valid_config']


def inspect_config(cfg: Config, origins: Origins | None = None) -> ConfigReport:
    """Check a config: its keys, the types that it names, their arguments, the types of simple values, and the rules.

    Args:
        cfg: A merged config whose ``custom_imports`` have been imported.
        origins: Where its values were written, as :func:`mmwtal.utils.config.origin.load_config` tells.

    Returns:
        What is wrong, and what cannot be checked, as where a constructor takes any argument.
    """
    report = ConfigReport()
    origins = origins or Origins()
    _check_keys(cfg, origins, Walker(origins, report, imports_own=bool(cfg.get('custom_imports'))), report)
    _check_presence(cfg, origins, report)
    _check_default_hooks(cfg.get('default_hooks'), origins, report)
    _check_dataloaders(cfg, origins, report)
    _check_optim_wrapper(cfg.get('optim_wrapper'), origins, report)
    _check_name(('runner_type',), cfg.get('runner_type'), RUNNERS, origins, report)
    check_rules(cfg, origins, report)
    return report


def check_config(cfg: Config, origins: Origins | None = None) -> list[ConfigProblem]:
    """Return the problems of a config; see :func:`inspect_config`."""
    return inspect_config(cfg, origins).problems


def require_valid_config(cfg: Config, origins: Origins | None = None) -> None:
    """Raise if anything is wrong with a config.

    Raises:
        UserError: Listing all problems, each with the file in which it was written.
    """
    problems = check_config(cfg, origins)
    if problems:
        name = (origins.file if origins is not None else None) or cfg.filename or 'the config'
        count = '1 problem' if len(problems) == 1 else f'{len(problems)} problems'
        raise UserError('\n  '.join([f'{name}: {count}', *map(str, problems)]))


def _check_keys(cfg: Config, origins: Origins, walker: Walker, report: ConfigReport) -> None:
    for key, value in cfg.items():
        if key in TOP_LEVEL:
            suits = walker.value((key,), value, TOP_LEVEL[key])
            slot = slot_of(key, value)
            if suits and slot is not None and isinstance(value, dict | list):
                walker.slot((key,), value, slot)
        elif not key.startswith('_'):
            message = 'unknown key (a helper variable starts with _)'
            report.misspelt((key,), message, key, TOP_LEVEL, origins.key((key,)))


def _check_presence(cfg: Config, origins: Origins, report: ConfigReport) -> None:
    meant = {problem.nearest for problem in report.problems}
    # An offline job has no model, and no Runner.
    first = 'job' if 'job' in cfg or 'job' in meant else 'model'
    for key, message in ((first, 'is missing'), ('default_scope', "is missing; set default_scope = 'mmwtal'")):
        if key not in cfg and key not in meant:
            report.wrong((key,), message, origins.value(()))
    for group in TOGETHER:
        present = [key for key in group if cfg.get(key) is not None]
        for key in group:
            if present and key not in present and key not in meant:
                report.wrong((key,), f'is missing, but {present[0]} is set', origins.key((present[0],)))


def _check_default_hooks(hooks: Any, origins: Origins, report: ConfigReport) -> None:
    """Any name may add a hook, but one that is nearly a built-in hook's would leave that hook as it is."""
    for name, hook in hooks.items() if isinstance(hooks, dict) else ():
        if name not in BUILT_IN_HOOKS and (hook is None or nearest(str(name), BUILT_IN_HOOKS)):
            at = origins.key(('default_hooks', name))
            report.misspelt(('default_hooks', name), 'no default hook has this name', str(name), BUILT_IN_HOOKS, at)


def _check_dataloaders(cfg: Config, origins: Origins, report: ConfigReport) -> None:
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        loader = cfg.get(name)
        if not isinstance(loader, dict) or loader.get('batch_sampler') is None:
            continue
        if 'batch_size' not in loader:
            at = origins.key((name, 'batch_sampler'))
            report.wrong((name, 'batch_size'), 'is missing; it is passed to the batch sampler', at)
        if 'drop_last' in loader:
            path = (name, 'drop_last')
            report.wrong(path, 'cannot be set beside a batch_sampler, which alone makes batches', origins.key(path))


def _check_optim_wrapper(optim_wrapper: Any, origins: Origins, report: ConfigReport) -> None:
    if not isinstance(optim_wrapper, dict):
        return
    path = ('optim_wrapper', 'constructor')
    _check_name(path, optim_wrapper.get('constructor'), OPTIM_WRAPPER_CONSTRUCTORS, origins, report)
    if has_custom_constructor(optim_wrapper):
        message = f'{optim_wrapper["constructor"]} reads paramwise_cfg by its own rules, which cannot be checked'
        report.unchecked(path, message, origins.value(path))


def _check_name(path: tuple[Key, ...], name: Any, registry: Registry, origins: Origins, report: ConfigReport) -> None:
    if isinstance(name, str) and find_type(name, registry) is None:
        report.misspelt(path, f"nothing is registered as '{name}'", name, names_in(registry), origins.value(path))
