"""How far training has come: what losses that change over the run depend on."""

from typing import NamedTuple

from mmengine.logging import MessageHub

from mmwtal.utils.errors import UserError


class Progress(NamedTuple):
    """A moment of a training run.

    Args:
        iteration: Number of finished iterations, hence 0 in the first one; that of the whole run if it was resumed.
        max_iters: Number of iterations of the whole run.
    """

    iteration: int
    max_iters: int

    @property
    def fraction(self) -> float:
        """How much of the run is done, in [0, 1)."""
        return self.iteration / self.max_iters


class TrainingSeed(NamedTuple):
    """What a draw that belongs to one iteration of a training run depends on, whether that was resumed or not.

    Args:
        seed: The seed of the run, the same in every process.
        iteration: Number of finished iterations, hence 0 in the first one.
    """

    seed: int
    iteration: int


def training_progress(*, max_iters: int | None, user: str) -> Progress:
    """Read the progress of the current Runner from mmengine's message hub, which its ``RuntimeInfoHook`` keeps.

    Args:
        max_iters: What to assume outside a Runner, where nothing has been trained; a Runner's own number goes first.
        user: Who asks, for the error.

    Returns:
        The Runner's progress, else 0 of ``max_iters``.

    Raises:
        UserError: If there is no Runner and ``max_iters`` is None or below 1.
    """
    info = MessageHub.get_current_instance().runtime_info
    if 'iter' in info and 'max_iters' in info:
        return Progress(int(info['iter']), int(info['max_iters']))
    if max_iters is None or max_iters < 1:
        raise UserError(
            f'{user} changes over the training run, but no Runner tells how far that is; expected max_iters of at '
            f'least 1 for its use outside a Runner, found {max_iters}; set the max_iters of the loss'
        )
    return Progress(0, max_iters)


def training_seed(*, default: int = 0) -> TrainingSeed:
    """Read the seed and the iteration of the current Runner from mmengine's message hub.

    The Runner's ``RuntimeInfoHook`` keeps both there; a resumed run has the seed of its checkpoint. What is drawn from
    them and a video's name alone is the same at any batch size, in any number of processes, and after a resumption.

    Args:
        default: The seed to assume outside a Runner, where the iteration is 0.
    """
    info = MessageHub.get_current_instance().runtime_info
    if 'seed' in info and 'iter' in info:
        return TrainingSeed(int(info['seed']), int(info['iter']))
    return TrainingSeed(default, 0)
