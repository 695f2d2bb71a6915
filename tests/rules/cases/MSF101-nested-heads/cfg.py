# K-Net: one head generates kernels, others update them; the outer head has no count of its own.
model = dict(
    type='EncoderDecoder',
    decode_head=dict(
        type='IterativeDecodeHead',
        num_stages=2,
        kernel_update_head=[
            dict(type='KernelUpdateHead', num_classes=150, out_channels=512),
            dict(type='KernelUpdateHead', out_channels=512)
        ],
        kernel_generate_head=dict(
            type='FCNHead', in_channels=64, channels=16, num_classes=150)))
train_dataloader = dict(dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('road', 'car', 'sky'))))
