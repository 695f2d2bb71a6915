# Neither takes class weights; the first cannot be built with them.
model = dict(
    type='EncoderDecoder',
    decode_head=dict(
        type='FCNHead', in_channels=64, channels=16, num_classes=2,
        loss_decode=[
            dict(type='DiceLoss', class_weight=[1.0, 2.0]),
            dict(type='HuasdorffDisstanceLoss', class_weight=[1.0, 2.0])]))
train_dataloader = dict(dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('weed', 'crop'))))
