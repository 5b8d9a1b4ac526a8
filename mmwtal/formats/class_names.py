"""The class names of a data set: chosen from the settings, the annotation file or its labels."""

from mmwtal.formats.annotations import AnnotationSet, class_names
from mmwtal.utils.errors import UserError
from mmwtal.utils.names import did_you_mean


def choose_classes(annotations: AnnotationSet, given: object = None) -> tuple[str, ...]:
    """Return the class names in the order of the labels.

    Args:
        annotations: The annotation file.
        given: Names that the settings state; they may be a part of the file's, or more than these.

    Raises:
        UserError: If there are none, or ``given`` is not a list of distinct names, or has names that the file lacks and
            lacks names that the file has: that is a slip of the pen.
    """
    if given is not None:
        names = class_names(given, origin='metainfo["classes"] of the dataset')
        stated = annotations.classes or names
        strange, missing = (sorted(set(one) - set(other)) for one, other in ((names, stated), (stated, names)))
        if strange and missing:
            raise UserError(
                f'metainfo["classes"] of the dataset names {strange[0]!r}, which is none of the {len(stated)} classes '
                f'of {annotations.path}{did_you_mean(strange[0], missing)}'
            )
        return names
    if annotations.classes is not None:
        return annotations.classes
    labels = annotations.all_labels()
    if not labels:
        raise UserError(f'annotation file {annotations.path} names no class: add "classes": [...] or labels')
    return tuple(labels)
