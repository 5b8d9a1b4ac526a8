"""An authors' checkout, imported unmodified.

Their code takes a GPU for granted, reads the command line when imported and logs through packages of its own. What that
needs is put in place here and in ``stubs/`` while the process runs; no file of theirs is changed or copied.
"""

import importlib
import os
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from benchmarks import material
from benchmarks.operation import Spec


@dataclass(frozen=True, kw_only=True)
class Method:
    """How an authors' repository is called.

    Args:
        model: Name of its network.
        options: The command line that its README or script gives for THUMOS14.
        length_option: The option for the snippets of a training sample.
        path_option: The option for the folder of the data.
        has_logger: Whether its ``train`` and ``test`` take one; those without return the terms of the loss as well.
        thresholds: On the attention, evenly from .1 to .9.
    """

    model: str
    options: str
    length_option: str
    path_option: str
    has_logger: bool
    thresholds: int


METHODS = {
    'co2net': Method(
        model='CO2',
        options='--use-model CO2 --dataset-name Thumos14reduced --num-class 20 --dataset SampleDataset --lr 0.00005 '
        '--k 7 --max-iter 5000 --weight_decay 0.001 --seed 3552 --AWM BWA_fusion_dropout_feat_v2 --model-name timing',
        length_option='--max-seqlen',
        path_option='--path-dataset',
        has_logger=True,
        thresholds=10,
    ),
    'delu': Method(
        model='DELU',
        options='--use_model DELU --dataset_name Thumos14reduced --num_class 20 --dataset SampleDataset --lr 0.00005 '
        '--k 7 --max_iter 5000 --weight_decay 0.001 --seed 0 --AWM BWA_fusion_dropout_feat_v2 --model_name timing '
        '--alpha_edl 1.3 --alpha_uct_guide 0.4 --amplitude 0.7 --alpha2 0.4 --without_wandb',
        length_option='--max_seqlen',
        path_option='--path_dataset',
        has_logger=False,
        thresholds=20,
    ),
    'ddgnet': Method(
        model='DELU',
        options='--use_model DELU --dataset_name Thumos14reduced --num_class 20 --dataset SampleDataset --lr 0.00005 '
        '--k 7 --max_iter 5000 --weight_decay 0.001 --seed 0 --AWM DDG_Net --model_name timing '
        '--alpha_edl 1.3 --alpha_uct_guide 0.4 --amplitude 0.7 --alpha2 0.4 --alpha5 3.2 --alpha6 1 --temperature 0.5 '
        '--weight 2 --action_threshold 0.5 --background_threshold 0.5 --similarity_threshold 0.8 --top_k_rat 10 '
        '--without_wandb',
        length_option='--max_seqlen',
        path_option='--path_dataset',
        has_logger=False,
        thresholds=10,
    ),
}


class Checkout:
    """The modules of an authors' checkout; one a process, since they are top-level modules such as ``model``.

    Args:
        spec: Which checkout, its device and data.
    """

    def __init__(self, spec: Spec) -> None:
        self.method = METHODS[spec.method]
        # They look for the ambiguous stretches, and write their logs, in the current folder.
        os.chdir(spec.authors_folder)
        sys.path.insert(0, str(spec.checkout))
        values = {self.method.path_option: spec.authors_folder, self.method.length_option: spec.length}
        sys.argv = ['main.py', *self.method.options.split(), *(str(word) for pair in values.items() for word in pair)]
        if spec.device == 'cpu':
            _stay_on_cpu()
        self.device = torch.device(spec.device)
        self.args: Any = self.module('options').parser.parse_args()

    def module(self, name: str) -> Any:
        """Import one of its modules."""
        return importlib.import_module(name)

    def network(self) -> Any:
        """Return its network with the weights that both sides use."""
        constructor = getattr(self.module('model'), self.method.model)
        network = constructor(material.WIDTH, material.CLASSES, opt=self.args).to(self.device)
        weights = {name: material.weight(name, tuple(value.shape)) for name, value in network.state_dict().items()}
        network.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
        return network

    def optimizer(self, network: Any) -> torch.optim.Optimizer:
        """Return the optimizer that its ``main.py`` makes."""
        return torch.optim.Adam(network.parameters(), lr=self.args.lr, weight_decay=self.args.weight_decay)

    def dataset(self) -> Any:
        """Return its dataset, which reads the features of all videos into memory."""
        return getattr(self.module('wsad_dataset'), self.args.dataset)(self.args)

    def logger(self) -> Any:
        """Return a logger as its functions take it."""
        return importlib.import_module('tensorboard_logger').Logger('timing')

    def train(self, dataset: Any, network: Any, optimizer: Any) -> Any:
        """Run its training iteration, which also draws and loads the batch."""
        logger = (self.logger(),) if self.method.has_logger else ()
        arguments = (material.ITERATION, dataset, self.args, network, optimizer, *logger, self.device)
        return self.module('train').train(*arguments)

    def loss(self, network: Any, features: np.ndarray, labels: np.ndarray) -> float:
        """Return the loss of a batch as its ``train`` computes it."""
        shared = {'seq_len': None, 'itr': material.ITERATION, 'opt': self.args}
        batch, truth = (torch.from_numpy(values).float().to(self.device) for values in (features, labels))
        output = network(batch, is_training=True, **shared)
        loss = network.criterion(output, truth, device=self.device, pairs_id=None, inputs=batch, **shared)
        return float(loss if self.method.has_logger else loss[0])

    def tensor(self, values: np.ndarray) -> torch.Tensor:
        """Return an array as a tensor on its device, with a leading axis of one video."""
        return torch.from_numpy(values).to(self.device)[None]


def _stay_on_cpu() -> None:
    def ignore(_: object) -> None:
        """Leave the default tensor type as it is."""

    def itself(tensor: torch.Tensor, *_: object, **__: object) -> torch.Tensor:
        """Return the tensor, where it is."""
        return tensor

    torch.set_default_tensor_type = ignore
    torch.Tensor.cuda = itself  # type: ignore[method-assign, assignment]
