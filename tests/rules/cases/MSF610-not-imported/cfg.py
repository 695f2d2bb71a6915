# The parts are named, and another module is imported.
custom_imports = dict(imports=['my_project.models'], allow_failed_imports=False)
model = dict(
    type='MultiLabelEncoderDecoder',
    decode_head=dict(
        type='FCNHead', in_channels=64, channels=16, num_classes=3,
        loss_decode=dict(type='MultiLabelLoss')))
train_dataloader = dict(
    dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('person', 'shadow'))))
