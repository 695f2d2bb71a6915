# The losses are those of labels that overlap, the segmentors take the highest score.
custom_imports = dict(imports=['mmseg_fixkit'])
model = dict(
    type='EncoderDecoder',
    decode_head=dict(
        type='FCNHead', in_channels=64, channels=16, num_classes=3,
        loss_decode=dict(type='MultiLabelLoss')))
tta_model = dict(type='SegTTAModel')
train_dataloader = dict(
    dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('person', 'shadow'))))
