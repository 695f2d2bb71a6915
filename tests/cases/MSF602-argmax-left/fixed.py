# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

model = dict(
    # MSF602 multilabel-segmentor: was 'EncoderDecoder'
    type='MultiLabelEncoderDecoder',
    # MSF602 multilabel-segmentor
    threshold=0.5)

tta_model = dict(
    # MSF602 multilabel-segmentor: was 'SegTTAModel'
    type='MultiLabelTTAModel')
