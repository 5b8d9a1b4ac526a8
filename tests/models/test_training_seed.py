"""The seed and the iteration that draws of a training run depend on."""

from mmengine.logging import MessageHub

from mmwtal.models.losses.progress import TrainingSeed, training_seed


def test_inside_and_outside_a_runner() -> None:
    info = MessageHub.get_current_instance().runtime_info
    kept = dict(info)
    try:
        info.clear()
        assert training_seed() == TrainingSeed(seed=0, iteration=0)
        assert training_seed(default=7) == TrainingSeed(seed=7, iteration=0)
        info.update(seed=3, iter=41)
        assert training_seed(default=7) == TrainingSeed(seed=3, iteration=41)
    finally:
        info.clear()
        info.update(kept)
