"""Small clips, made up or from files, and a schema such as answers have, for the tests of engines."""

import io
from pathlib import Path

from PIL import Image

from mmwtal.priors.engines.base import Clip, Frame, Request
from mmwtal.priors.patterns import SENTENCE, WORD

SCHEMA = {
    'type': 'object',
    'properties': {
        'label': {'enum': ['HighJump', 'Throw']},
        'visible': {'type': 'boolean'},
        'verbs': {'type': 'array', 'items': {'type': 'string', 'pattern': WORD}, 'minItems': 1, 'maxItems': 3},
        'steps': {'type': 'array', 'items': {'type': 'string', 'pattern': SENTENCE}, 'minItems': 2, 'maxItems': 3},
    },
    'required': ['label', 'visible', 'verbs', 'steps'],
}

SHORT = {'type': 'object', 'properties': {'visible': {'type': 'boolean'}}, 'required': ['visible']}


def jpeg(colour: int = 0, size: tuple[int, int] = (64, 48)) -> bytes:
    out = io.BytesIO()
    Image.new('RGB', size, (colour % 256, 90, 40)).save(out, 'JPEG')
    return out.getvalue()


def clip(times: tuple[float, ...] = (0.0, 1.5, 2.25, 4.0), *, path: Path = Path('clip.mp4'), end: float = 5.0) -> Clip:
    frames = tuple(Frame(time=time, jpeg=jpeg(40 * number)) for number, time in enumerate(times))
    return Clip(path=path, start=0.0, end=end, duration=end, fps=25.0, frames=frames)


def clip_of(path: Path, count: int = 6) -> Clip:
    """Some frames of a real video, scaled down."""
    import av

    with av.open(str(path)) as container:
        shown = [(frame.time, frame.to_image().resize((96, 64))) for frame in container.decode(video=0)]
    chosen = [shown[round(number * (len(shown) - 1) / (count - 1))] for number in range(count)]
    frames = []
    for time, picture in chosen:
        out = io.BytesIO()
        picture.save(out, 'JPEG')
        frames.append(Frame(time=time, jpeg=out.getvalue()))
    end = shown[-1][0]
    return Clip(path=path, start=0.0, end=end, duration=end, fps=len(shown) / end, frames=tuple(frames))


def request(**changes: object) -> Request:
    values = {
        'system': 'You watch videos.',
        'prompt': 'What is seen of HighJump?',
        'schema': SCHEMA,
        'clip': clip(),
        'max_tokens': 900,
        'temperature': 0.0,
        'seed': 0,
    }
    return Request(**{**values, **changes})
