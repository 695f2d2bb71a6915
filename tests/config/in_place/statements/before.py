_base_ = ['../_base_/pspnet.py']
head = dict(type='FCNHead', in_channels=64, channels=16)
head['num_classes'] = 19
model = dict(decode_head=dict(_delete_=True, **head))
model['auxiliary_head'] = [head]
