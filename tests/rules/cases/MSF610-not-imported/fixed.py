# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

custom_imports = dict(
    # was ['my_project.models'] (MSF610)
    imports=['my_project.models', 'mmseg_fixkit'])
