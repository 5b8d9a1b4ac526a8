"""The registries: one child, under the scope ``mmwtal``, of each of mmengine's root registries, and our own.

A child is defined for every root, also where mmwtal registers nothing, because mmengine logs a failed search for each
root that a scope lacks. A registry imports its ``locations`` at the first look-up: ``import mmwtal`` stays light.

mmengine's Runner builds the modules that it owns and does not recurse into their arguments. A constructor whose
argument is a module therefore accepts the module or its config and passes it through :func:`build_module`.
"""

from importlib import import_module
from typing import Any

from mmengine import registry as roots
from mmengine.registry import Registry

SCOPE = 'mmwtal'


def _child(parent: Registry, *locations: str) -> Registry:
    return Registry(parent.name, parent=parent, scope=SCOPE, locations=list(locations))


class _FrugalRegistry(Registry):
    """Imports its locations in their order, and none after the one that has what is looked up."""

    def get(self, key: str) -> type | None:
        scope, name = self.split_scope_key(key)
        for location in self._locations if scope in (None, self.scope) else ():
            if name not in self.module_dict:
                import_module(location)
        return self.module_dict[name] if name in self.module_dict and scope in (None, self.scope) else super().get(key)


RUNNERS = _child(roots.RUNNERS)
RUNNER_CONSTRUCTORS = _child(roots.RUNNER_CONSTRUCTORS)
LOOPS = _child(roots.LOOPS, 'mmwtal.engine')
HOOKS = _child(roots.HOOKS, 'mmwtal.engine')
LOG_PROCESSORS = _child(roots.LOG_PROCESSORS)
STRATEGIES = _child(roots.STRATEGIES)
DATASETS = _child(roots.DATASETS, 'mmwtal.datasets')
DATA_SAMPLERS = _child(roots.DATA_SAMPLERS, 'mmwtal.datasets')
TRANSFORMS = _child(roots.TRANSFORMS, 'mmwtal.datasets')
MODELS = _child(roots.MODELS, 'mmwtal.models')
MODEL_WRAPPERS = _child(roots.MODEL_WRAPPERS)
WEIGHT_INITIALIZERS = _child(roots.WEIGHT_INITIALIZERS)
OPTIMIZERS = _child(roots.OPTIMIZERS)
OPTIM_WRAPPERS = _child(roots.OPTIM_WRAPPERS, 'mmwtal.engine')
OPTIM_WRAPPER_CONSTRUCTORS = _child(roots.OPTIM_WRAPPER_CONSTRUCTORS, 'mmwtal.engine')
PARAM_SCHEDULERS = _child(roots.PARAM_SCHEDULERS, 'mmwtal.engine')
METRICS = _child(roots.METRICS, 'mmwtal.evaluation.metrics')
EVALUATOR = _child(roots.EVALUATOR)
TASK_UTILS = _child(roots.TASK_UTILS)
VISUALIZERS = _child(roots.VISUALIZERS)
VISBACKENDS = _child(roots.VISBACKENDS)
INFERENCERS = _child(roots.INFERENCERS)
FUNCTIONS = _child(roots.FUNCTIONS, 'mmwtal.datasets')

# Our own.
DECODERS = Registry('decoder', scope=SCOPE, locations=['mmwtal.decoders'])
# The texts of guidance, by themselves: what looks up models, testing above all, imports nothing of texts.
GUIDANCE_TEXTS = Registry('guidance texts', scope=SCOPE, locations=['mmwtal.priors.prior_texts'])
TEXT_ENCODERS = Registry('text encoder', scope=SCOPE, locations=['mmwtal.text_encoders'])
MLLM_ENGINES = Registry('mllm engine', scope=SCOPE, locations=['mmwtal.priors.engines'])
# Features first: what makes them, inference above all, imports nothing of texts.
OFFLINE_JOBS = _FrugalRegistry(
    'offline job', scope=SCOPE, locations=['mmwtal.features.job', 'mmwtal.priors.generation']
)
FEATURE_BACKBONES = Registry('feature backbone', scope=SCOPE, locations=['mmwtal.features.backbones'])
FLOW_METHODS = Registry('flow method', scope=SCOPE, locations=['mmwtal.features.extractor'])


def build_module(module: Any, registry: Registry, **defaults: Any) -> Any:
    """Return ``module`` as it is, or build it if it is a config.

    Args:
        module: A built object, a config with ``type``, or None.
        registry: Where ``type`` is looked up.
        **defaults: Arguments that the config is given where it does not state them itself.

    Returns:
        The built object; None for None.
    """
    if not isinstance(module, dict):
        return module
    return registry.build({**defaults, **module})
