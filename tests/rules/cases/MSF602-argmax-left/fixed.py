# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

model = dict(
    # was 'EncoderDecoder' (MSF602)
    type='MultiLabelEncoderDecoder',
    # added (MSF602)
    threshold=0.5)

tta_model = dict(
    # was 'SegTTAModel' (MSF602)
    type='MultiLabelTTAModel')
