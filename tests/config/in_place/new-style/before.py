from mmengine.config import read_base
from mmseg.models import FCNHead

with read_base():
    from .base import *

# wider
model.decode_head.update(dict(channels=32))
model.update(
    auxiliary_head=dict(type=FCNHead, in_channels=256, in_index=2, channels=16, num_classes=19))
