"""Any PyTorch module as a network: measured and slimmed where it lives.

>>> import torch, torchvision, unrolled as un
>>> model = torchvision.models.resnet50()
>>> live = un.torch.wrap(model, example=torch.zeros(2, 3, 224, 224))  # doctest: +SKIP
"""

from .build import wrap
from .errors import ModuleError
from .live import Live

__all__ = ["Live", "ModuleError", "wrap"]
