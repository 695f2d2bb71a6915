_base_ = '../_base_/pspnet.py'
model = dict(
    decode_head=dict(channels=32, num_classes={{_base_.num_classes}}),  # wider
)
val_dataloader = dict(batch_size=4)
