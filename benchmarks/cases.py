"""What is compared, and what is aimed at."""

from dataclasses import dataclass

PAIR = ('published', 'mmwtal')
WITH_AMP = (*PAIR, 'mmwtal-amp')


@dataclass(frozen=True, kw_only=True)
class Case:
    """One comparison.

    Args:
        name: What ``--only`` takes.
        title: Its row in the table.
        method: Whose code: 'co2net' or 'delu'.
        operation: A key of ``OPERATIONS`` of both sides.
        sides: Who takes part.
        length: Snippets of a training sample.
        rounds: Samples of each side, at most.
        goal: How many times faster mmwtal shall be.
        note: What a reader must know.
        shows_memory: Whether the processes' peak memory is listed.
    """

    name: str
    title: str
    method: str
    operation: str
    sides: tuple[str, ...] = PAIR
    length: int = 500
    rounds: int = 9
    goal: float | None = None
    note: str = ''
    shows_memory: bool = False


TIES = (
    'Equal scores but for ground truths of equal tIoU: their `argsort` leaves the choice to the sorting network of the '
    'processor (AVX-512 or not), ours is the same everywhere.'
)

CASES = (
    Case(
        name='train-320',
        title='training iteration, batch in memory, B = 10, T = 320',
        method='co2net',
        operation='train_step',
        sides=WITH_AMP,
        length=320,
        rounds=7,
        goal=1,
    ),
    Case(
        name='train-500',
        title="training iteration, batch in memory, B = 10, T = 500 (the recipe's)",
        method='co2net',
        operation='train_step',
        sides=WITH_AMP,
        rounds=7,
        goal=1,
    ),
    Case(
        name='load-500',
        title='loading of a batch, B = 10, T = 500, in one process',
        method='co2net',
        operation='load_batch',
        note='Theirs holds all videos in memory; ours maps files, which the system had cached.',
    ),
    Case(
        name='run-500',
        title='training iteration of a run, loading included, T = 500',
        method='co2net',
        operation='iteration',
        rounds=7,
        goal=1,
        note='Ours with the seeding, hooks and logs of `tools/train.py`.',
        shows_memory=True,
    ),
    Case(
        name='score',
        title='outer-inner scores of the proposals of 10 thresholds, a video',
        method='co2net',
        operation='score',
        goal=20,
    ),
    Case(name='soft-nms', title='soft-NMS of 500 proposals', method='co2net', operation='soft_nms'),
    Case(
        name='decode',
        title='whole decode, a video',
        method='co2net',
        operation='decode',
        goal=4,
        note='Their filter by ambiguous stretches is switched off here: ours is part of the evaluation.',
    ),
    Case(
        name='ambiguous',
        title='filter by ambiguous stretches, a video',
        method='co2net',
        operation='ambiguous',
    ),
    Case(
        name='evaluate',
        title='mAP of 30,000 detections, 9 tIoUs',
        method='co2net',
        operation='evaluate',
        rounds=5,
        goal=80,
        note='Theirs starts three processes. ' + TIES,
    ),
    Case(
        name='test-job',
        title="test of 212 videos of THUMOS14's lengths",
        method='co2net',
        operation='test_job',
        rounds=3,
        goal=2,
        note='From opening data and weights to the scores on disk. ' + TIES,
        shows_memory=True,
    ),
    Case(
        name='delu-train-320',
        title='DELU, training iteration, batch in memory, B = 10, T = 320',
        method='delu',
        operation='train_step',
        length=320,
        rounds=5,
        note="Not like for like: ours is CO2-Net, whose network is DELU's, without DELU's two further losses.",
    ),
    Case(
        name='delu-score',
        title='DELU, outer-inner scores of the proposals of 20 thresholds, a video',
        method='delu',
        operation='score',
        goal=20,
    ),
    Case(
        name='delu-decode',
        title='DELU, whole decode with 20 thresholds, a video',
        method='delu',
        operation='decode',
        goal=4,
        note='Their filter by ambiguous stretches is switched off; they drop proposals of one snippet elsewhere.',
    ),
    Case(
        name='delu-evaluate',
        title='DELU, mAP of 30,000 detections, 9 tIoUs',
        method='delu',
        operation='evaluate',
        rounds=3,
        goal=80,
        note='Theirs starts three processes. ' + TIES,
    ),
)
