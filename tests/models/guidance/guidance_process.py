"""One of several processes, each with its part of a batch: ``python guidance_process.py RANK SIZE FOLDER``.

Stores the logged terms and the averaged gradients of a guided model in ``FOLDER/RANK.pth``.
"""

import gc
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from mmwtal.registry import MODELS
from mmwtal.utils.compat import prepare

sys.path.insert(0, str(Path(__file__).parents[1]))
from guidance.guided import guidance_config, samples

LENGTHS = (9, 3, 1, 14)
LABELS = torch.tensor([[1, 0, 0], [1, 1, 0], [0, 0, 0], [0, 0, 1]]).float()
# Of the second process's two videos none has a description, and one has no label.
IDS = ('vaa', 'vb', 'uc', 'ud')


def guided_model() -> nn.Module:
    """Return a guided CO2-Net, in evaluation mode."""
    torch.manual_seed(0)
    losses = {'loss_mil': {'type': 'TopKMILLoss', 'topk_ratio': 7}}
    model = MODELS.build(
        {
            'type': 'WTALLocalizer',
            'num_classes': 3,
            'in_channels': 6,
            'backbone': {'type': 'CO2NetBackbone', 'attention_channels': 4},
            'head': {'type': 'MILHead', 'losses': losses},
            'guidance': guidance_config(),
        }
    )
    return model.eval()


def losses_and_gradients(model: nn.Module, part: slice) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the logged terms and the gradients for a part of the batch."""
    inputs = torch.zeros(4, max(LENGTHS), 6)
    for number, length in enumerate(LENGTHS):
        inputs[number, :length] = torch.randn(length, 6, generator=torch.Generator().manual_seed(number))
    mask = torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]
    localizer: Any = model.module if isinstance(model, DistributedDataParallel) else model
    model.zero_grad()
    terms = model(inputs[part], samples(LABELS[part], IDS[part]), mask[part], mode='loss')
    total, logged = localizer.parse_losses(terms)
    total.backward()
    return logged, {name: parameter.grad.clone() for name, parameter in localizer.named_parameters()}


def main(rank: int, size: int, folder: Path) -> None:
    prepare()
    torch.set_num_threads(1)
    distributed.init_process_group('gloo', f'file://{folder}/store', timedelta(seconds=60), world_size=size, rank=rank)
    share = len(LENGTHS) // size
    own = slice(rank * share, (rank + 1) * share)
    wrapped = DistributedDataParallel(guided_model())
    # The wrapper refuses a parameter without a gradient at the second step.
    losses_and_gradients(wrapped, own)
    torch.save(losses_and_gradients(wrapped, own), folder / f'{rank}.pth')
    # A wrapped model that outlives the group ends it with the interpreter locked, and may wait for its threads forever.
    del wrapped
    gc.collect()
    distributed.destroy_process_group()


if __name__ == '__main__':
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
