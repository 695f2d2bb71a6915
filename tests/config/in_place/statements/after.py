_base_ = ['../_base_/pspnet.py']
head = dict(type='FCNHead', in_channels=64, channels=16)
head['num_classes'] = 19
model = dict(decode_head=dict(
    _delete_=True,
    type='FCNHead',
    in_channels=64,
    channels=16,
    num_classes=3))
model['auxiliary_head'] = [dict(
    type='FCNHead',
    in_channels=64,
    channels=16,
    num_classes=3)]

train_dataloader = dict(
    dataset=dict(
        metainfo=dict(
            classes=('road', 'car', 'sidewalk'),
            palette=[[128, 64, 128], [0, 0, 142], [244, 35, 232]])))

val_dataloader = dict(
    dataset=dict(
        metainfo=dict(
            classes=('road', 'car', 'sidewalk'),
            palette=[[128, 64, 128], [0, 0, 142], [244, 35, 232]])))

test_dataloader = val_dataloader
