from mmseg.datasets import CityscapesDataset, LoadAnnotations, PackSegInputs
from mmseg.evaluation import IoUMetric
from mmseg.models import EncoderDecoder, PSPHead

model = dict(
    type=EncoderDecoder,
    decode_head=dict(type=PSPHead, in_channels=512, channels=16, num_classes=19))
train_dataloader = dict(
    dataset=dict(
        type=CityscapesDataset,
        pipeline=[dict(type=LoadAnnotations), dict(type=PackSegInputs)]))
val_dataloader = dict(dataset=dict(type=CityscapesDataset))
val_evaluator = dict(type=IoUMetric)
