model = dict(
    type='EncoderDecoder',
    decode_head=dict(type='FCNHead', in_channels=64, channels=16, num_classes=19))
train_dataloader = dict(
    dataset=dict(type='BaseSegDataset', pipeline=[dict(type='LoadAnnotations')]))
val_dataloader = dict(
    dataset=dict(
        type='BaseSegDataset', reduce_zero_label=True, pipeline=[dict(type='LoadAnnotations')]))
