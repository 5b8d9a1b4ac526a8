"""The texts and word vectors of the embedded dataset: what a language model might say of its videos."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from mmwtal.datasets.synthetic_video import CLASSES, POOL_SIZE, VECTOR_STREAM, SyntheticConfig, SyntheticVideo, World

# Two wordings of each phase. The first list is by class, the pools are in the order of their rows in World.phases.
EXECUTIONS = {
    'BasketballDunk': ('slams the basketball through the hoop', 'stuffs the leather ball over the rim'),
    'CleanAndJerk': ('heaves the barbell above the head', 'thrusts the loaded plates up and locks the elbows'),
    'GolfSwing': ('drives the golf club through the tee', 'clips the shot off the grass with an iron'),
    'HammerThrow': ('whirls the chained weight and releases it', 'spins fast and flings the steel hammer'),
    'HighJump': ('arches backwards over the crossbar', 'flops the hips across the lath'),
    'JavelinThrow': ('hurls the spear past the ear', 'launches the javelin with a whipping elbow'),
    'PoleVault': ('bends the pole and soars feet first', 'vaults upside down along the flexing shaft'),
    'TennisSwing': ('smacks a forehand with the racket', 'volleys crosscourt above the net'),
}
APPROACHES = (
    ('walks forward with slow heavy steps', 'paces ahead at a calm walk'),
    ('sprints in along a straight line', 'accelerates in a fast dash'),
    ('crouches low and gathers strength', 'squats down before tensing up'),
    ('rocks gently to and fro', 'sways from one foot to the other'),
    ('bounces lightly on the toes', 'hops twice on the spot'),
    ('stands frozen and breathes deeply', 'waits motionless while inhaling'),
)
FOLLOW_THROUGHS = (
    ('lands softly and rolls aside', 'tumbles over one shoulder'),
    ('raises both fists in triumph', 'cheers with lifted arms'),
    ('turns around and strolls away', 'leaves in a relaxed stroll'),
    ('stumbles and regains balance', 'staggers before steadying'),
    ('halts and watches the result', 'pauses to gaze after it'),
    ('jogs back to the beginning', 'trots home at an easy jog'),
)
SCENERY = {
    'BasketballDunk': 'in a crowded indoor arena',
    'CleanAndJerk': 'on a wooden platform',
    'GolfSwing': 'beside a quiet fairway',
    'HammerThrow': 'inside a netted cage',
    'HighJump': 'near a blue foam mat',
    'JavelinThrow': 'on a marked runway',
    'PoleVault': 'in a stadium under floodlights',
    'TennisSwing': 'on a clay court',
}
SENTENCES = (
    '{scenery}, the athlete {approach}, then {execution} and finally {follow}.',
    'The athlete {approach} {scenery}. Next, the athlete {execution}. In the end, the athlete {follow}.',
    'At first, someone {approach}. After that, the person {execution} {scenery} and at last {follow}.',
)
TEMPLATE = 'a video of a person doing'
_TOKEN = re.compile(r'[a-z]+(?:-[a-z]+)*|[.,]')


def tokenize(text: str) -> list[str]:
    """Return the lower-case words and punctuation marks of a text, as the vector file spells them."""
    return _TOKEN.findall(text.lower())


# Words that name no phase although they occur in the wording of one.
_FUNCTION_WORDS = frozenset(
    tokenize(
        'a above across after ahead along an and around aside at back before both down fro from in inside it near of '
        'off on one other over past the through to under up while with'
    )
)


def class_words(name: str) -> str:
    """Return a class name as words: ``HighJump`` is "high jump"."""
    return ' '.join(re.findall(r'[A-Z][a-z]*', name)).lower()


def describe(
    video: SyntheticVideo, classes: Sequence[str], rng: np.random.Generator
) -> dict[str, dict[str, list[str] | str]]:
    """Return the texts of a video, by label.

    Args:
        video: What happens in it.
        classes: The class names.
        rng: Chooses the wording.

    Returns:
        For each label ``key`` (phrases that name the execution), ``complete`` (approach, execution and follow-through
        in this order) and ``key_words`` (the words in ``complete`` that name phases).
    """
    texts: dict[str, dict[str, list[str] | str]] = {}
    for c in video.classes:
        name = classes[c]
        approach, follow = (row - len(classes) for row in video.own[c])
        wording = rng.integers(2, size=3)
        phrases = {
            'approach': APPROACHES[approach][wording[0]],
            'execution': EXECUTIONS[name][wording[1]],
            'follow': FOLLOW_THROUGHS[follow - POOL_SIZE][wording[2]],
        }
        sentence = SENTENCES[rng.integers(len(SENTENCES))].format(scenery=SCENERY[name], **phrases)
        key = EXECUTIONS[name] if rng.random() < 0.5 else (phrases['execution'],)
        words = [word for phrase in phrases.values() for word in naming_words(phrase)]
        complete = sentence[0].upper() + sentence[1:]
        texts[name] = {'key': list(key), 'complete': complete, 'key_words': list(dict.fromkeys(words))}
    return texts


def naming_words(phrase: str) -> list[str]:
    """Return the words of a phase's wording that name it."""
    return [word for word in tokenize(phrase) if word not in _FUNCTION_WORDS]


def word_vectors(config: SyntheticConfig, world: World) -> dict[str, np.ndarray]:
    """Return a vector for every word that the texts of a dataset can hold.

    A word that names phases has the mean of their prototypes under one fixed random linear map, plus noise; any other
    word has a random vector. Both have about unit variance.

    Args:
        config: The settings.
        world: The prototypes.

    Returns:
        Vectors (``vector_width``,) by word, in alphabetical order.
    """
    rng = np.random.default_rng([config.seed, VECTOR_STREAM])
    wordings = [*(EXECUTIONS[name] for name in config.classes), *APPROACHES, *FOLLOW_THROUGHS]
    named: dict[str, list[int]] = defaultdict(list)
    for row, phrases in enumerate(wordings):
        for word in dict.fromkeys(word for phrase in phrases for word in naming_words(phrase)):
            named[word].append(row)
    # Of all classes, so that the vectors do not depend on how many are used.
    sources: list[Iterable[str]] = [*EXECUTIONS.values(), *APPROACHES, *FOLLOW_THROUGHS, SCENERY.values(), SENTENCES]
    text = ' '.join([TEMPLATE, *map(class_words, CLASSES), *(phrase for source in sources for phrase in source)])
    vocabulary = sorted(set(tokenize(re.sub(r'{\w+}', ' ', text))))
    width = world.phases.shape[1]
    linear = rng.standard_normal((width, config.vector_width)) / np.sqrt(width)
    random = rng.standard_normal((len(vocabulary), config.vector_width))
    # Sums of products rather than a matrix product: its rounding depends on the machine's number of threads.
    images = (world.phases[:, :, None] * linear).sum(axis=1)
    return {
        word: images[named[word]].mean(axis=0) + config.vector_noise * vector if word in named else vector
        for word, vector in zip(vocabulary, random, strict=True)
    }


def to_glove(vectors: dict[str, np.ndarray]) -> str:
    """Return word vectors in GloVe's text format: a line a word, the word and its numbers separated by spaces."""
    return ''.join(f'{word} {" ".join(f"{value:.5f}" for value in vector)}\n' for word, vector in vectors.items())
