"""What keeps the cross-modal filters of TSM + VLC honest: each modality can be rebuilt from a code of the other."""

from torch import Tensor

from mmwtal.models.layers import temporal_mean
from mmwtal.models.losses.base import BaseLoss, full_precision
from mmwtal.registry import MODELS
from mmwtal.structures import LocalizerOutput
from mmwtal.utils.errors import UserError


@full_precision
def autoencoder_loss(error: Tensor, mask: Tensor) -> Tensor:
    """Add up the mean squared errors of the modalities.

    Args:
        error: Of each snippet and modality, averaged over the channels, (B, T, M).
        mask: Valid snippets, bool, (B, T).

    Returns:
        Mean over each video's snippets, then over the videos, summed over the modalities: a scalar.
    """
    return temporal_mean(error, mask).mean(dim=0).sum()


@MODELS.register_module()
class AutoencoderLoss(BaseLoss):
    """See :func:`autoencoder_loss`; [TSM/VLC] weighs it 1.5 on THUMOS14 and 0.15 on ActivityNet."""

    def compute(self, output: LocalizerOutput, labels: Tensor) -> Tensor:
        """See :class:`BaseLoss`.

        Raises:
            UserError: If the backbone has no cross-modal autoencoders.
        """
        error = output.extras.get('autoencoder_error')
        if error is None:
            raise UserError(
                "AutoencoderLoss needs extras['autoencoder_error'], which TSMBackbone gives, this backbone does not; "
                'remove the loss from the head'
            )
        return autoencoder_loss(error, output.mask)
