model = dict(
    type='EncoderDecoder',
    decode_head=dict(type='FCNHead', in_channels=64, channels=16, num_classes=150))
train_dataloader = dict(
    dataset=dict(
        type='ADE20KDataset', pipeline=[dict(type='LoadAnnotations', reduce_zero_label=True)]))
val_dataloader = train_dataloader
