model = dict(
    type='MultimodalEncoderDecoder',
    text_encoder=dict(type='CLIPTextEncoder', dataset_name='coco-stuff164k'),
    decode_head=dict(
        type='SideAdapterCLIPHead', num_classes=171,
        loss_decode=[
            dict(type='CrossEntropyLoss', loss_name='loss_cls_ce', class_weight=[1.0] * 171 + [0.1])
        ]))
train_dataloader = dict(dataset=dict(type='COCOStuffDataset'))
