# Which of the two splits is right, only the files can tell: no safe fix.
model = dict(
    type='EncoderDecoder',
    decode_head=dict(type='FCNHead', in_channels=64, channels=16, num_classes=2))
metainfo = dict(classes=('weed', 'crop'))
train_dataloader = dict(
    dataset=dict(type='BaseSegDataset', metainfo=metainfo, reduce_zero_label=True))
val_dataloader = dict(dataset=dict(type='BaseSegDataset', metainfo=metainfo))
