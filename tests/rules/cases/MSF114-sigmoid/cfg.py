# Nineteen classes of a zoo config, to be two classes in one sigmoid channel.
model = dict(
    type='EncoderDecoder',
    decode_head=dict(
        type='FCNHead', in_channels=64, channels=16, num_classes=19,
        sampler=dict(type='OHEMPixelSampler', thresh=0.7, min_kept=10000),
        loss_decode=[
            dict(type='CrossEntropyLoss', loss_name='loss_ce', class_weight=[1.0] * 19),
            dict(type='DiceLoss', loss_name='loss_dice', loss_weight=3.0)]),
    auxiliary_head=[
        dict(type='FCNHead', in_channels=32, channels=16, num_classes=19),
        dict(
            type='STDCHead', in_channels=32, channels=16, num_classes=2,
            loss_decode=[
                dict(type='CrossEntropyLoss', loss_name='loss_ce', use_sigmoid=True),
                dict(type='DiceLoss', loss_name='loss_dice')])])
train_dataloader = dict(dataset=dict(type='CityscapesDataset', data_root='data/weeds'))
