"""One of several processes, each with its part of a batch: ``python contract_process.py RANK SIZE FOLDER CONFIG ...``.

Stores the logged losses and the averaged gradients of every config's model in ``FOLDER/RANK.pth``.
"""

import gc
import sys
from datetime import timedelta
from pathlib import Path

import torch
from contract_models import LENGTHS, build, label_rows, losses_and_gradients, padded, training_progress, videos
from torch import Tensor, distributed
from torch.nn.parallel import DistributedDataParallel

from mmwtal.utils.compat import prepare


def main(rank: int, size: int, folder: Path, configs: list[Path]) -> None:
    prepare()
    torch.set_num_threads(1)
    distributed.init_process_group('gloo', f'file://{folder}/store', timedelta(seconds=60), world_size=size, rank=rank)
    share = len(LENGTHS) // size
    own = slice(rank * share, (rank + 1) * share)
    batch, rows = padded(videos()[own]), label_rows(len(LENGTHS))[own]
    found = {str(path): found_by(path, batch, rows) for path in configs}
    torch.save(found, folder / f'{rank}.pth')
    # A wrapped model that outlives the group ends it with the interpreter locked, and may wait for its threads forever.
    gc.collect()
    distributed.destroy_process_group()


def found_by(path: Path, batch: dict[str, Tensor], rows: Tensor) -> tuple:
    sys.stderr.write(f'{path}\n')  # the last one is to blame where a process fails
    wrapped = _Parsed(DistributedDataParallel(build(path)))
    with training_progress():
        # The wrapper refuses a parameter without a gradient at the second step.
        losses_and_gradients(wrapped, batch, rows)
        return losses_and_gradients(wrapped, batch, rows)


class _Parsed(torch.nn.Module):
    """A wrapped model that sums its losses, as mmengine's wrapper does."""

    def __init__(self, wrapped: DistributedDataParallel) -> None:
        super().__init__()
        self.wrapped = wrapped
        self.parse_losses = wrapped.module.parse_losses

    def forward(self, **arguments: object) -> object:
        return self.wrapped(**arguments)


if __name__ == '__main__':
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), [Path(path) for path in sys.argv[4:]])
