model = dict(
    type='EncoderDecoder',
    decode_head=dict(type='FCNHead', in_channels=64, channels=16, num_classes=2))
metainfo = dict(CLASSES=('weed', 'crop'), PALETTE=[[0, 0, 0], [128, 0, 0]])
train_dataloader = dict(dataset=dict(type='BaseSegDataset', metainfo=metainfo))
val_dataloader = dict(dataset=dict(type='BaseSegDataset', metainfo=metainfo))
