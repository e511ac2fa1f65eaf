"""Sizes of the networks, shared by the networks and by the readers of their weights. No torch is loaded."""

from __future__ import annotations

#: SqueezeNet 1.1: squeeze, expand 1 x 1 and expand 3 x 3 channels of fire2 to fire9.
FIRES = (
    (16, 64, 64),
    (16, 64, 64),
    (32, 128, 128),
    (32, 128, 128),
    (48, 192, 192),
    (48, 192, 192),
    (64, 256, 256),
    (64, 256, 256),
)
#: SqueezeNet 1.1: channels of the maps that are compared.
SQUEEZENET_CHANNELS = (64, 128, 256, 384, 384, 512, 512)
#: AlexNet ("one weird trick" form): channels in and out, kernel, stride, padding of its convolutions.
ALEXNET = ((3, 64, 11, 4, 2), (64, 192, 5, 1, 2), (192, 384, 3, 1, 1), (384, 256, 3, 1, 1), (256, 256, 3, 1, 1))
#: VGG-16: channels of the convolutions of each stage.
VGG16_STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
