"""Networks that are known to work."""

from __future__ import annotations

from .bert import BERT, BERTConfig
from .digits import DigitsNet
from .gpt import GPT, GPTConfig
from .lenet import LeNet
from .mobilenet import MobileNetV2, mobilenet_v2
from .resnet import ResNet, resnet18, resnet34, resnet50
from .vgg import VGG, vgg11, vgg11_bn, vgg13, vgg13_bn, vgg16, vgg16_bn, vgg19, vgg19_bn

__all__ = [
    "BERT",
    "GPT",
    "VGG",
    "BERTConfig",
    "DigitsNet",
    "GPTConfig",
    "LeNet",
    "MobileNetV2",
    "ResNet",
    "mobilenet_v2",
    "resnet18",
    "resnet34",
    "resnet50",
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
]
