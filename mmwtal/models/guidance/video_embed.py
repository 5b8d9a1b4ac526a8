"""Convolutional fusion of a video's modalities: what key phrases are compared with, and masks are made of."""

from torch import Tensor, nn

from mmwtal.models.layers import LEAKY_SLOPE, masked


class VideoEmbed(nn.Module):
    """Two temporal convolutions with kernel 3 and a projection.

    The paper fuses RGB and flow by convolutions; sizes and activations are those of TSM/VLC. Dropout sits before the
    projection, never after it: behind the last layer it would hit logits.

    Args:
        in_channels: Width of the features.
        hidden_channels: Width between.
        out_channels: Width of the embedding.
        dropout: Probability, after each of the two convolutions.
    """

    def __init__(self, *, in_channels: int, hidden_channels: int, out_channels: int, dropout: float) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(in_channels, hidden_channels, 3, padding=1)
        self.conv2 = nn.Conv1d(hidden_channels, hidden_channels, 3, padding=1)
        self.project = nn.Conv1d(hidden_channels, out_channels, 1)
        self.activation = nn.LeakyReLU(LEAKY_SLOPE)
        self.dropout = nn.Dropout(dropout)

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        """Return the embedding (B, T, out) of ``values`` (B, T, C), zero where ``mask`` (B, T) is not set."""
        hidden = masked(values.transpose(1, 2), mask)
        hidden = self.dropout(self.activation(masked(self.conv1(hidden), mask)))
        hidden = self.dropout(self.activation(masked(self.conv2(hidden), mask)))
        return masked(self.project(hidden), mask).transpose(1, 2)
