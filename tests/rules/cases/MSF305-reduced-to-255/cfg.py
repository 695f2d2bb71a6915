# Everything ignores 200, and label 0 is written as 255.
model = dict(
    type='EncoderDecoder',
    decode_head=dict(type='FCNHead', in_channels=64, channels=16, num_classes=2, ignore_index=200),
    data_preprocessor=dict(type='SegDataPreProcessor', seg_pad_val=200))
train_dataloader = dict(
    dataset=dict(
        type='BaseSegDataset', reduce_zero_label=True, ignore_index=200,
        metainfo=dict(classes=('weed', 'crop'))))
