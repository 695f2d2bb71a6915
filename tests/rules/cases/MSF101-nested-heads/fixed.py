# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

model = dict(
    decode_head=dict(
        # changed (MSF101)
        kernel_update_head=[
            dict(type='KernelUpdateHead', num_classes=3, out_channels=512),
            dict(type='KernelUpdateHead', out_channels=512, num_classes=3)
        ],
        kernel_generate_head=dict(
            # was 150 (MSF101)
            num_classes=3)))
