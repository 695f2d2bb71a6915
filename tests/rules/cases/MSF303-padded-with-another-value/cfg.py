model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(type='SegDataPreProcessor', seg_pad_val=0),
    decode_head=dict(
        type='FCNHead', in_channels=64, channels=16, num_classes=3, ignore_index=255))
train_dataloader = dict(dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('road', 'car', 'sky'))))
