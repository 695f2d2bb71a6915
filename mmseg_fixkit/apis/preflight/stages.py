"""What is tried, in the order in which a training would come to it."""

from __future__ import annotations

from itertools import islice
from typing import Any

import torch
from mmengine.dataset import pseudo_collate
from mmengine.evaluator import Evaluator
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import init_default_scope

from mmseg_fixkit.apis.adapt import adapt_file
from mmseg_fixkit.apis.check import check
from mmseg_fixkit.apis.preflight.batch import cut, label_values, size_on_cpu, with_every_class
from mmseg_fixkit.apis.preflight.offline_config import without_downloads, writing_nothing
from mmseg_fixkit.apis.preflight.runner import PreflightRun, Skipped, Stage, StageFindings
from mmseg_fixkit.apis.preflight.sample_files import sampled
from mmseg_fixkit.config.load import load
from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.text import counted, first_few
from mmseg_fixkit.datasets.from_config import of_config
from mmseg_fixkit.datasets.scan_files import scan_inventory
from mmseg_fixkit.models.build import build, read_config
from mmseg_fixkit.models.chance_loss import chance_losses
from mmseg_fixkit.models.heads import class_layers, ignore_index_of, optimizers_of
from mmseg_fixkit.rules.label_sets import findings as label_findings
from mmseg_fixkit.rules.training import Batch, Layer, TrainingContext, check_iteration

#: Findings that only hold for all files of a split.
_OF_WHOLE_SPLITS = frozenset({"MSF413", "MSF423", "MSF424", "MSF425"})

_SHOWN = 4  # losses in a line


def config(run: PreflightRun) -> StageFindings:
    """Read the config and check it."""
    report = check(run.config)
    run["document"] = load(run.config)
    run["config"] = read_config(run.config)
    init_default_scope(run["config"].get("default_scope", "mmseg"))
    names = report.labels.classes if report.labels else None
    run["classes"] = names
    count = "no class names" if names is None else counted(len(names), "class")
    return StageFindings(f"{count}; {_findings(len(report.diagnostics))}", report.diagnostics)


def _findings(count: int) -> str:
    return counted(count, "finding") if count else "no findings"


def labels(run: PreflightRun) -> StageFindings:
    """Scan some of the label files."""
    try:
        inventory = of_config(run["document"])
    except FixkitError as error:
        raise Skipped(str(error)) from None
    some, whole = sampled(inventory)
    stats = scan_inventory(run.config, some, cache=False, jobs=1)
    found = label_findings(stats)
    if not whole:
        found = tuple(d for d in found if d.code not in _OF_WHOLE_SPLITS)
    files = sum(split.files for split in stats.splits.values())
    share = "all" if whole else "some"
    return StageFindings(
        f"{counted(files, 'file')}, {share} of {', '.join(stats.splits)}; {_findings(len(found))}",
        found,
    )


def model(run: PreflightRun) -> StageFindings:
    """Build the model as it trains, but for what it would download."""
    changed, left_out = without_downloads(run["config"])
    built: Any = build(changed)
    if run.device == "cpu":
        built = revert_sync_batchnorm(built)
    torch.manual_seed(0)
    built.init_weights()
    run["model"] = built.to(run.device)
    run["downloads"] = left_out
    size = sum(parameter.numel() for parameter in built.parameters())
    text = f"{type(built).__name__}, {size / 1e6:.1f} M parameters"
    if left_out:
        text += f"; without {', '.join(left_out)}, which would be downloaded"
    return StageFindings(text)


def checkpoint(run: PreflightRun) -> StageFindings:
    """Adapt the checkpoint, and put it into the model."""
    source = str(run.checkpoint or run["config"].get("load_from") or "")
    if not source:
        raise Skipped("load_from is not set, and no --checkpoint is given")
    if "://" in source:
        raise Skipped(f"{source} would be downloaded; give the file with --checkpoint")
    adapted = adapt_file(source, run.config)
    run["model"].load_state_dict(adapted.state_dict, strict=False)
    run["loaded"] = True
    report = adapted.report
    text = (
        f"{len(report.loaded)} tensors loaded, {len(report.kept)} kept by class name, "
        f"{len(report.new)} new"
    )
    return StageFindings(text, report.diagnostics)


def samples(run: PreflightRun) -> StageFindings:
    """Take real samples through the training pipeline."""
    dataset = _built(run["config"], "train")
    count = min(run.samples, len(dataset))
    if not count:
        raise FixkitError("the training dataset is empty: training stops with num_samples=0")
    places = [i * len(dataset) // count for i in range(count)]
    taken = [dataset[place] for place in places]
    run["samples"] = taken
    shapes = sorted({tuple(s["inputs"].shape) for s in taken})
    _check_sizes(taken)
    shown = ", ".join("x".join(map(str, shape)) for shape in shapes)
    return StageFindings(f"{count} of {len(dataset)}, as {shown}")


def _check_sizes(taken: list[dict[str, Any]]) -> None:
    for sample in taken:
        packed = sample["data_samples"]
        if "gt_sem_seg" not in packed:
            raise FixkitError(
                "the training pipeline packs no gt_sem_seg; LoadAnnotations is needed before "
                "PackSegInputs"
            )
        image, label = sample["inputs"].shape[-2:], packed.gt_sem_seg.shape
        if tuple(image) != tuple(label):
            raise FixkitError(
                f"{packed.metainfo.get('seg_map_path', 'a label')} is {_by(label)} behind the "
                f"training pipeline, but its image is {_by(image)}"
            )


def _by(size: Any) -> str:
    return "x".join(str(int(side)) for side in size)


def _built(config: Any, split: str) -> Any:
    import mmseg.datasets  # noqa: F401 - registers
    from mmseg.registry import DATASETS

    loader = config.get(f"{split}_dataloader")
    if not loader:
        raise Skipped(f"the config has no {split}_dataloader")
    return DATASETS.build(loader["dataset"].to_dict())


def step(run: PreflightRun) -> StageFindings:
    """Try one forward and one backward pass with every class, and ignored pixels, in the labels."""
    net = run["model"]
    taken = (run["samples"] * 2)[:2]  # batch norm needs two
    whole = tuple(taken[0]["inputs"].shape[-2:])
    small = size_on_cpu(whole) if run.device == "cpu" else whole
    try:
        return _step(run, net, [cut(sample, small) for sample in taken], small)
    except (RuntimeError, AssertionError, ValueError):
        if small == whole:
            raise
    # Some models take one size only; the training does not use the smaller one.
    return _step(run, net, taken, whole)


def _step(run: PreflightRun, net: Any, taken: list[dict[str, Any]], size: Any) -> StageFindings:
    from mmseg.models import SegDataPreProcessor

    before = net.data_preprocessor
    kept = before.size if isinstance(before, SegDataPreProcessor) else None  # others have none
    if kept is not None:
        before.size = size
    try:
        batch = before(pseudo_collate(taken), True)
    finally:
        if kept is not None:
            before.size = kept
    ignored = ignore_index_of(net)
    if ignored is None:
        raise FixkitError(f"{type(net).__name__} has no head that predicts classes")
    count = None if run["classes"] is None else len(run["classes"])
    made = with_every_class(batch["data_samples"], label_values(net, count), ignored)
    net.train()
    net.zero_grad()
    with chance_losses(net) as chance:
        losses = net(batch["inputs"], made, mode="loss")
    total, logged = net.parse_losses(losses)
    total.backward()
    values = {name: float(value.detach()) for name, value in logged.items()}
    first = TrainingContext(Batch(1, values), dict(chance), "loaded" not in run.parts)
    parts = [f"{n} {v:.3g}{_chance(chance, n)}" for n, v in values.items() if "loss_" in n]
    found = (
        *check_iteration(first),
        *check_iteration(TrainingContext(layers=_layers(net), iterations=1)),
    )
    return StageFindings(f"two of {_by(size)}: {first_few(parts, _SHOWN)}", found)


def _chance(chance: dict[str, float], name: str) -> str:
    return f" (chance {chance[name]:.3g})" if name in chance else ""


def _layers(net: Any) -> tuple[Layer, ...]:
    """Return class layers that no gradient reaches."""
    return tuple(
        Layer(name, False, not layer.requires_grad, 1.0, None)
        for name, layer in class_layers(net).items()
        if layer.grad is None or not bool(layer.grad.abs().sum())
    )


def optimizer(run: PreflightRun) -> StageFindings:
    """Build the optimizer, and look whether it was given the class layers."""
    from mmengine.optim import build_optim_wrapper

    settings = run["config"].get("optim_wrapper")
    if not settings:
        raise Skipped("the config has no optim_wrapper")
    plain = settings.to_dict()
    if run.device == "cpu" and plain.get("type") == "AmpOptimWrapper":
        plain = {k: v for k, v in plain.items() if k not in ("loss_scale", "dtype")}
        plain["type"] = "OptimWrapper"
    wrapper = build_optim_wrapper(run["model"], plain)
    groups = [g for o in optimizers_of(wrapper) for g in o.param_groups]
    rates = {id(p): float(g["lr"]) for g in groups for p in g["params"]}
    layers = tuple(
        Layer(name, False, not layer.requires_grad, rates.get(id(layer)), None)
        for name, layer in class_layers(run["model"]).items()
        if not layer.requires_grad or not rates.get(id(layer))
    )
    count = counted(len(groups), "group")
    text = f"{type(optimizers_of(wrapper)[0]).__name__}, {count} of parameters"
    return StageFindings(text, check_iteration(TrainingContext(layers=layers)))


def validation(run: PreflightRun) -> StageFindings:
    """Try one validation step, and the metric on it."""
    config, net = run["config"], run["model"]
    dataset = _built(config, "val")
    if not len(dataset):
        raise FixkitError("the validation dataset is empty")
    settings = config.get("val_evaluator")
    if not settings:
        raise Skipped("the config has no val_evaluator")
    metrics = settings if isinstance(settings, list) else settings.get("metrics", [settings])
    several = metrics if isinstance(metrics, list) else [metrics]
    evaluator = Evaluator([writing_nothing(dict(metric)) for metric in several])
    evaluator.dataset_meta = dataset.metainfo
    sample = dataset[0]
    batch = pseudo_collate([_smaller(sample) if run.device == "cpu" else sample])
    net.eval()
    with torch.no_grad():
        outputs = net.val_step(batch)
    evaluator.process(data_samples=outputs, data_batch=batch)
    results = evaluator.evaluate(1)
    shown = ", ".join(f"{name} {value:.3g}" for name, value in islice(results.items(), 4))
    return StageFindings(f"1 of {len(dataset)}: {shown or 'nothing is computed (format_only)'}")


def _smaller(sample: dict[str, Any]) -> dict[str, Any]:
    """Return a test sample whose image is smaller; its label keeps the size of the file."""
    inputs = sample["inputs"]
    size = size_on_cpu(tuple(inputs.shape[-2:]))
    image = torch.nn.functional.interpolate(inputs[None].float(), size)[0].to(inputs.dtype)
    packed = sample["data_samples"].clone()
    packed.set_metainfo({"img_shape": size, "pad_shape": size})
    return {"inputs": image, "data_samples": packed}


STAGES = (
    Stage("config", config),
    Stage("labels", labels, ("document",)),
    Stage("model", model, ("config",)),
    Stage("checkpoint", checkpoint, ("model",)),
    Stage("samples", samples, ("config",)),
    Stage("step", step, ("model", "samples")),
    Stage("optimizer", optimizer, ("model",)),
    Stage("validation", validation, ("model", "config")),
)
