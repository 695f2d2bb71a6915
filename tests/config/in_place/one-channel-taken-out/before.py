model = dict(
    type='EncoderDecoder',
    decode_head=dict(
        type='FCNHead', in_channels=64, channels=16, num_classes=3,
        # one channel for three classes
        out_channels=1,
        threshold=0.3))
train_dataloader = dict(
    dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('road', 'car', 'sky'))))
