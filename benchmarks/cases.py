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
        method: Whose code: 'co2net', 'delu' or 'ddgnet'.
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

IN_MEMORY = 'Theirs holds all videos in memory; ours maps files, which the system had cached.'
WHOLE_RUN = 'Ours with the seeding, hooks and logs of `tools/train.py`.'
NO_FILTER = 'Their filter by ambiguous stretches is switched off here: ours is part of the evaluation.'
WHOLE_TEST = 'From opening data and weights to the scores on disk. '

CASES = (
    Case(
        name='train-320',
        title='CO2-Net, training iteration, batch in memory, B = 10, T = 320',
        method='co2net',
        operation='train_step',
        sides=WITH_AMP,
        length=320,
        rounds=7,
        goal=1,
    ),
    Case(
        name='train-500',
        title="CO2-Net, training iteration, batch in memory, B = 10, T = 500 (the recipe's)",
        method='co2net',
        operation='train_step',
        sides=WITH_AMP,
        rounds=7,
        goal=1,
    ),
    Case(
        name='load-500',
        title='CO2-Net, loading of a batch, B = 10, T = 500, in one process',
        method='co2net',
        operation='load_batch',
        note=IN_MEMORY,
    ),
    Case(
        name='run-500',
        title='CO2-Net, training iteration of a run, loading included, T = 500',
        method='co2net',
        operation='iteration',
        rounds=7,
        goal=1,
        note=WHOLE_RUN,
        shows_memory=True,
    ),
    Case(
        name='score',
        title='CO2-Net, outer-inner scores of the proposals of 10 thresholds, a video',
        method='co2net',
        operation='score',
        goal=20,
    ),
    Case(name='soft-nms', title='soft-NMS of 500 proposals', method='co2net', operation='soft_nms'),
    Case(
        name='decode',
        title='CO2-Net, whole decode, a video',
        method='co2net',
        operation='decode',
        goal=4,
        note=NO_FILTER,
    ),
    Case(
        name='ambiguous',
        title='CO2-Net, filter by ambiguous stretches, a video',
        method='co2net',
        operation='ambiguous',
    ),
    Case(
        name='evaluate',
        title='CO2-Net, mAP of 30,000 detections, 9 tIoUs',
        method='co2net',
        operation='evaluate',
        rounds=5,
        goal=80,
        note='Theirs starts three processes. ' + TIES,
    ),
    Case(
        name='test-job',
        title="CO2-Net, test of 212 videos of THUMOS14's lengths",
        method='co2net',
        operation='test_job',
        rounds=3,
        goal=2,
        note=WHOLE_TEST + TIES,
        shows_memory=True,
    ),
    Case(
        name='delu-train-320',
        title="DELU, training iteration, batch in memory, B = 10, T = 320 (the recipe's)",
        method='delu',
        operation='train_step',
        length=320,
        rounds=7,
        goal=1,
    ),
    Case(
        name='delu-load-320',
        title='DELU, loading of a batch, B = 10, T = 320, in one process',
        method='delu',
        operation='load_batch',
        length=320,
        note=IN_MEMORY,
    ),
    Case(
        name='delu-run-320',
        title='DELU, training iteration of a run, loading included, T = 320',
        method='delu',
        operation='iteration',
        length=320,
        rounds=7,
        goal=1,
        note=WHOLE_RUN,
        shows_memory=True,
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
    Case(
        name='delu-test-job',
        title="DELU, test of 212 videos of THUMOS14's lengths",
        method='delu',
        operation='test_job',
        rounds=3,
        goal=1,
        note=WHOLE_TEST + TIES,
        shows_memory=True,
    ),
    Case(
        name='ddgnet-train-320',
        title="DDG-Net, training iteration, batch in memory, B = 10, T = 320 (the recipe's)",
        method='ddgnet',
        operation='train_step',
        length=320,
        rounds=7,
        goal=1,
    ),
    Case(
        name='ddgnet-run-320',
        title='DDG-Net, training iteration of a run, loading included, T = 320',
        method='ddgnet',
        operation='iteration',
        length=320,
        rounds=7,
        goal=1,
        note=WHOLE_RUN,
        shows_memory=True,
    ),
    Case(
        name='ddgnet-decode',
        title='DDG-Net, whole decode with 10 thresholds, a video',
        method='ddgnet',
        operation='decode',
        goal=4,
        note=NO_FILTER,
    ),
    Case(
        name='ddgnet-test-job',
        title="DDG-Net, test of the videos of THUMOS14's lengths",
        method='ddgnet',
        operation='test_job',
        rounds=3,
        goal=1,
        note=WHOLE_TEST + 'Theirs leaves out two of the 212 videos; ours goes through all and drops the detections of '
        'the two. ' + TIES,
        shows_memory=True,
    ),
)
