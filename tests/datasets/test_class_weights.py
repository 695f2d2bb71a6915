"""Class weights: formulas by hand, laws, the verb, and ``patch --class-weight METHOD``."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mmseg_fixkit import FixkitError, LabelStats, check, class_weights, patch, scan
from mmseg_fixkit.cli import app
from mmseg_fixkit.config.load import load
from mmseg_fixkit.config.tree import lookup
from mmseg_fixkit.datasets.class_weights import METHODS, class_counts, remarks, rounded
from mmseg_fixkit.datasets.stats import Problem, SplitStats, save_stats

PSPNET = "mmseg::pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024.py"
MASK2FORMER = "mmseg::mask2former/mask2former_r50_8xb2-90k_cityscapes-512x1024.py"

NAMES = ("road", "car", "pole")
FILES = [{0: 400, 1: 100, 255: 50}, {0: 200, 1: 200, 2: 100}]


def split_stats(files: Sequence[Mapping[int, int]], classes: int = 3) -> SplitStats:
    """Return the statistics of files that are given as label -> pixels."""
    labels: Counter[int] = Counter()
    images: Counter[int] = Counter()
    around: Counter[int] = Counter()
    for file in files:
        there = {label: n for label, n in file.items() if label < classes and n}
        labels.update({label: n for label, n in file.items() if n})
        images.update({label: 1 for label, n in file.items() if n})
        around.update({label: sum(there.values()) for label in there})
    return SplitStats(len(files), labels=labels, images=images, images_pixels=around)


def stats(files: Sequence[Mapping[int, int]] = FILES, names: Any = NAMES, **kw: Any) -> LabelStats:
    split = split_stats(files, len(names or ()))
    return LabelStats("cfg.py", {"train": split}, classes=names, **kw)


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        # Of 1,000 pixels road has 600, car 300, pole 100: shares 0.6, 0.3, 0.1.
        # Images with road and with car have 1,000 pixels of classes, those with pole 500:
        # f = 0.6, 0.3, 0.2 with the median 0.3; the 50 ignored pixels count nowhere.
        ("median-frequency", [0.3 / 0.6, 0.3 / 0.3, 0.3 / 0.2]),
        ("inverse-frequency", [10 / 6, 10 / 3, 10]),
        # 1 / sqrt(0.6), 1 / sqrt(0.3), 1 / sqrt(0.1)
        ("sqrt-inverse-frequency", [1.2909944, 1.8257419, 3.1622777]),
        # ln(1.62) = 0.4824261, ln(1.32) = 0.2776317, ln(1.12) = 0.1133287: the inverses.
        ("enet", [2.0728562, 3.6018937, 8.8238913]),
        # N is the median class's 300, so beta = 299 / 300. (299 / 300) ** 300 = 0.3672655:
        # its square 0.1348839 for road, its cube root 0.7161325 for pole.
        # 0.00333333 / (1 - 0.1348839), / (1 - 0.3672655), / (1 - 0.7161325)
        ("effective-number", [0.003853047, 0.005268139, 0.011742566]),
    ],
)
def test_the_formulas_by_hand(method: str, expected: list[float]) -> None:
    assert METHODS[method](class_counts(stats())) == pytest.approx(expected, rel=1e-6)
    scaled = [3 * weight / sum(expected) for weight in expected]
    assert class_weights(stats(), method) == pytest.approx(scaled, rel=1e-6)


def test_a_small_case_of_the_effective_number_by_hand() -> None:
    small = class_counts(stats([{0: 3, 1: 2, 2: 1}]))
    # N = 2, so beta = 1/2: E = (1 - 1/8) / (1/2) = 7/4, (1 - 1/4) / (1/2) = 3/2, 1.
    assert METHODS["effective-number"](small) == pytest.approx([4 / 7, 2 / 3, 1])


def test_the_effective_number_of_many_pixels_differs_by_class() -> None:
    many = stats([{0: 60_000_000, 1: 30_000_000, 2: 1_000_000}])
    road, car, pole = class_weights(many, "effective-number")
    assert pole > 10 * car > 10 * road


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        # The raw weights are 10/6, 10/3 and 10: their average is 5.
        ({}, [1 / 3, 2 / 3, 2]),
        # pole is cut to 1.5; road and car share the remaining 1.5 as 1 to 2.
        ({"clip": (0.1, 1.5)}, [0.5, 1, 1.5]),
        # road is raised to 0.6; car and pole share 2.4 as 1 to 3.
        ({"clip": (0.6, 10)}, [0.6, 0.6, 1.8]),
        # Both ends: 0.8 and 1.1 leave 1.1 for car, which is its bound too.
        ({"clip": (0.8, 1.1)}, [0.8, 1.1, 1.1]),
        ({"query_head": True}, [1 / 3, 2 / 3, 2, 0.1]),
        ({"query_head": True, "no_object": 0.4, "clip": (0.5, 9)}, [0.5, 0.625, 1.875, 0.4]),
    ],
)
def test_scales_and_bounds_by_hand(options: dict[str, Any], expected: list[float]) -> None:
    weights = class_weights(stats(), "inverse-frequency", **options)
    assert weights == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_absent_classes_get_the_average_and_change_nothing(method: str) -> None:
    names = ("road", "never", "car", "pole")
    files = [{0: 400, 2: 100, 255: 50}, {0: 200, 2: 200, 3: 100}]
    road, never, car, pole = class_weights(stats(files, names), method)
    assert never == pytest.approx(1)
    assert [road, car, pole] == class_weights(stats(), method)
    assert class_counts(stats(files, names)).absent == ("never",)
    assert class_weights(stats(names=("a", "b")), method) == pytest.approx(
        class_weights(stats([{0: 400, 1: 100}, {0: 200, 1: 200}], ("a", "b")), method)
    )


def test_an_ignored_class_is_absent_and_stray_labels_do_not_count() -> None:
    ignoring = stats([{0: 90, 1: 30, 2: 10, 7: 5}], ignore_index=0)
    counts = class_counts(ignoring)
    assert (counts.absent, dict(counts.invalid)) == (("road",), {7: 5})
    assert class_weights(ignoring, "inverse-frequency") == pytest.approx([1, 0.5, 1.5])


def test_the_split_is_train_unless_there_is_only_one() -> None:
    one, two = split_stats([{0: 9, 1: 1}], 2), split_stats([{0: 1, 1: 9}], 2)
    both = LabelStats("cfg.py", {"train": one, "val": two}, classes=("a", "b"))
    alone = LabelStats("masks", {"": two}, classes=("a", "b"))
    heavy, light = pytest.approx([0.2, 1.8]), pytest.approx([1.8, 0.2])
    assert class_weights(both, "inverse-frequency") == heavy
    assert class_weights(both, "inverse-frequency", split="val") == light
    assert class_weights(alone, "inverse-frequency") == light
    apart = LabelStats("c", {"train[0]": one, "train[1]": one, "val": two}, classes=("a", "b"))
    assert (class_weights(apart, "inverse-frequency"), class_counts(apart).files) == (heavy, 2)
    with pytest.raises(FixkitError, match=r"no label files of the split 'test' \(there: train"):
        class_weights(both, split="test")


@pytest.mark.parametrize(
    ("given", "options", "words"),
    [
        (stats(), {"method": "enett"}, "'enett' is no method; did you mean 'enet'?"),
        (stats(), {"method": "?"}, "'\\?' is no method; there are median-frequency, "),
        (stats(), {"clip": (5, 2)}, "clip is 5,2, but 0 <= least < largest"),
        (stats(), {"clip": (2, 5)}, "average is to be 1, which has to lie between"),
        (stats(names=None), {}, "the classes are not known; give them with --classes"),
        (
            stats([{255: 4, 200: 3}]),
            {},
            "1 label files .* 0 to 2.; other labels in them: 200",
        ),
        (stats([]), {}, "none of the 0 label files.*in them: none"),
        (LabelStats("x", {}, NAMES), {}, r"no label files of the split 'train' \(there: none\)"),
        (
            LabelStats("x", {"train": SplitStats(1, labels={0: 5})}, NAMES),
            {},
            "pixels of a class, but do not tell in which images",
        ),
    ],
)
def test_what_cannot_be_weighed_is_said(
    given: LabelStats, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(FixkitError, match=words):
        class_weights(given, **options)


def test_weights_are_written_with_four_digits() -> None:
    assert rounded([1 / 3, 12.34567, 1.0, 0.000123456]) == [0.3333, 12.35, 1.0, 0.0001235]


# Files of five classes: of a class none, a few or very many pixels.
PIXELS = st.one_of(st.just(0), st.integers(1, 20), st.integers(1, 10**12))
DATA = st.lists(st.tuples(*[PIXELS] * 5), min_size=1, max_size=6).filter(
    lambda files: any(map(any, files))
)
FIVE = ("a", "b", "c", "d", "e")
WORDS = st.sampled_from(list(METHODS))
CLIP = st.one_of(st.none(), st.tuples(st.floats(0, 0.99), st.floats(1.01, 1e6)))


def of(files: Sequence[Sequence[int]]) -> LabelStats:
    return stats([dict(enumerate(file)) for file in files], FIVE)


@given(DATA, WORDS, CLIP)
def test_weights_are_positive_and_finite_within_the_bounds_and_1_on_average(
    files: Any, method: str, clip: Any
) -> None:
    weights = class_weights(of(files), method, clip=clip)
    low, high = clip or (0, math.inf)
    assert all(0 < w < math.inf and low <= w <= high for w in weights)
    assert sum(weights) == pytest.approx(5)


@given(DATA, WORDS, CLIP, st.permutations(range(5)))
def test_weights_follow_their_class(
    files: Any, method: str, clip: Any, order: Sequence[int]
) -> None:
    moved = class_weights(of([[file[i] for i in order] for file in files]), method, clip=clip)
    weights = class_weights(of(files), method, clip=clip)
    assert moved == pytest.approx([weights[i] for i in order])


@given(DATA, WORDS, CLIP)
def test_a_rarer_class_never_weighs_less(files: Any, method: str, clip: Any) -> None:
    counts = class_counts(of(files))
    weights = class_weights(of(files), method, clip=clip)
    around = counts.images_pixels if method == "median-frequency" else [1] * 5
    often = [(counts.pixels[i] / around[i], weights[i]) for i in counts.present]
    for (rare, heavy), (frequent, light) in zip(sorted(often), sorted(often)[1:]):
        assert rare == frequent or heavy >= light * (1 - 1e-9)


@given(DATA, st.sampled_from(sorted({*METHODS} - {"effective-number"})), st.integers(2, 1000))
def test_larger_images_change_nothing(files: Any, method: str, factor: int) -> None:
    larger = class_weights(of([[n * factor for n in file] for file in files]), method)
    assert larger == pytest.approx(class_weights(of(files), method))


@given(DATA, st.integers(2, 1000))
def test_larger_images_change_no_effective_number_of_many_pixels(files: Any, factor: int) -> None:
    # (1 - 1 / N) ** n is exp(-n / N) but for a part of 1 / N.
    first, second = (
        class_weights(of([[n * k for n in file] for file in files]), "effective-number")
        for k in (10**6, 10**6 * factor)
    )
    assert first == pytest.approx(second, rel=1e-5)


def test_what_is_to_be_known_of_weights_is_said() -> None:
    problems = {"out-of-range": Problem(files=3)}
    split = split_stats([{0: 100_000, 1: 10, 7: 4, 255: 2}], 3)
    odd = LabelStats("c", {"train": SplitStats(**{**vars(split), "problems": problems})}, NAMES)
    weights = class_weights(odd, "inverse-frequency")
    said = "\n".join(remarks(class_counts(odd), weights, queries=True))
    assert "no pixel of pole in the train files" in said
    assert "4 pixels have a label that is neither a class nor ignored (7)" in said
    assert "label files with problems: out-of-range (3)" in said
    assert "car weighs 10,000 times as much as road" in said
    assert "the loss of a query head counts a class once in an image" in said
    assert list(remarks(class_counts(stats()), class_weights(stats()))) == []


# --- real files ---------------------------------------------------------------------------------

OWN = ("soil", "crop", "weed")
SIZE = (40, 60)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six training files: soil and crop in all, weed in two; 60 ignored pixels in each."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MMSEG_FIXKIT_CACHE", str(tmp_path / "cache.sqlite"))
    for split, count in (("train", 6), ("val", 1)):
        for number in range(count):
            label = np.zeros(SIZE, np.uint8)
            label[0], label[10:20, 10:50] = 255, 1
            if split == "train" and number < 2:
                label[30:32, 20:30] = 2
            for folder, array in (("images", np.stack([label] * 3, -1)), ("labels", label)):
                path = tmp_path / "farm" / folder / split / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(array).save(path)
    return tmp_path / "farm"


#: crop has 400 of the 2340 pixels of each file, weed 20 of two files, soil the rest.
PIXELS_OF_OWN = (6 * 1940 - 40, 2400, 40)
#: f = pixels / (6 * 2340), and for weed / (2 * 2340).
FREQUENCIES = (11600 / 14040, 2400 / 14040, 40 / 4680)


def by_median() -> list[float]:
    raw = [FREQUENCIES[1] / f for f in FREQUENCIES]
    return rounded([w * 3 / sum(raw) for w in raw])


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, arguments)


def weights_in(path: Path, key: str) -> Any:
    return lookup(load(path).tree, tuple(key.split(".")))


@pytest.mark.parametrize(
    ("config", "key", "last"),
    [
        (PSPNET, "model.decode_head.loss_decode.class_weight", []),
        (PSPNET, "model.auxiliary_head.loss_decode.class_weight", []),
        (MASK2FORMER, "model.decode_head.loss_cls.class_weight", [0.1]),
    ],
)
def test_patch_computes_writes_and_proves_weights(
    data: Path, config: str, key: str, last: list[float]
) -> None:
    planned = patch(config, OWN, data_root="farm", class_weight="median-frequency")
    assert any("median-frequency from 6 training label files" in note for note in planned.notes)
    planned.write("mine.py")
    assert weights_in(Path("mine.py"), key) == [*by_median(), *last]
    assert check("mine.py").exit_code == 0
    assert patch("mine.py", class_weight="median-frequency").plan.empty
    shown = run("weights", "mine.py")
    assert shown.exit_code == 0
    assert shown.stdout.endswith(f"\nclass_weight={[*by_median(), *last]}\n")


def test_the_counts_are_those_of_the_labels_that_training_sees(data: Path) -> None:
    from mmseg.registry import DATASETS
    from mmseg.utils import register_all_modules

    register_all_modules()
    planned = patch(PSPNET, OWN, data_root="farm", guards=False)
    planned.write("mine.py")
    config = dict(planned.config.train_dataloader.dataset)
    loading = [dict(type="LoadImageFromFile"), dict(type="LoadAnnotations")]
    dataset = DATASETS.build({**config, "pipeline": [*loading, dict(type="PackSegInputs")]})
    labels = [item["data_samples"].gt_sem_seg.data.numpy().ravel() for item in dataset]
    pixels = tuple(int(n) for n in np.bincount(np.concatenate(labels), minlength=256)[:3])
    assert pixels == PIXELS_OF_OWN
    assert class_counts(scan("mine.py", splits=["train"])).pixels == pixels


def test_labels_are_read_as_the_patched_config_reads_them(data: Path) -> None:
    # 0 is ignored, 1 and 2 become 0 and 1: of 2,440 pixels crop has 2,400, weed 40.
    planned = patch(
        PSPNET,
        ("crop", "weed"),
        data_root="farm",
        reduce_zero_label=True,
        class_weight="inverse-frequency",
    )
    expected = rounded([2 * 40 / 2440, 2 * 2400 / 2440])
    assert planned.config.model.decode_head.loss_decode.class_weight == expected


def test_one_channel_takes_the_ratio_of_computed_weights(data: Path) -> None:
    for path in data.glob("labels/*/*.png"):
        label = np.array(Image.open(path))
        Image.fromarray(np.where(label == 2, 1, label).astype(np.uint8)).save(path)
    options = {"data_root": "farm", "class_weight": "inverse-frequency", "binary": "sigmoid"}
    head = patch(PSPNET, OWN[:2], **options).config.model.decode_head
    assert head.loss_decode.class_weight == pytest.approx([11600 / 2440], rel=1e-3)


def test_the_command_patches_by_method(data: Path) -> None:
    done = run("patch", PSPNET, "--classes", ",".join(OWN), "--data-root", "farm",
               "--class-weight", "enet", "-o", "mine.py")  # fmt: skip
    assert (done.exit_code, "class weights by enet from 6" in done.stderr) == (0, True)
    assert run("check", "mine.py").exit_code == 0
    assert "enet" in run("patch", "--help").stdout


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("median_frequency", "'median_frequency' is no method; did you mean 'median-frequency'?"),
        ("non", "did you mean 'none'?"),
        ("enet", "--class-weight enet reads the training labels, but .* --data-root says where"),
        ("0.5", "has 1 entries, but"),
        ("", "'' is not a number"),
    ],
)
def test_words_that_cannot_be_are_refused(tmp_path: Path, word: str, said: str) -> None:
    with pytest.raises(FixkitError, match=said):
        patch(PSPNET, OWN, data_root=str(tmp_path / "nowhere"), class_weight=word)


def test_a_config_whose_losses_take_no_weights_is_refused_before_its_labels_are_read() -> None:
    head = {"type": "FCNHead", "num_classes": 3, "loss_decode": {"type": "DiceLoss"}}
    data = {"type": "BaseSegDataset", "metainfo": {"classes": OWN}}
    tree = {"model": {"decode_head": head}, "train_dataloader": {"dataset": data}}
    from mmengine.config import Config

    with pytest.raises(FixkitError, match="takes class weights"):
        patch(Config(tree), class_weight="enet")


def test_weights_of_a_folder_and_of_saved_statistics(data: Path) -> None:
    classes = ("--classes", ",".join(OWN))
    of_folder = run("weights", "farm", *classes)
    assert of_folder.exit_code == 0, of_folder.stderr
    assert of_folder.stdout.splitlines() == [
        "class  pixels   share  files   weight",
        "soil   11,600  82.6 %      6  0.02927",
        "crop    2,400  17.1 %      6   0.1415",
        "weed       40  0.28 %      2    2.829",
        "",
        "class_weight=[0.02927, 0.1415, 2.829]",
    ]
    save_stats(scan("farm", OWN), Path("farm.json"))
    assert run("weights", "farm.json").stdout == of_folder.stdout
    assert run("weights", "farm.json", *classes).stdout == of_folder.stdout
    alone = run("weights", "farm/labels/train", *classes)
    assert alone.stdout == of_folder.stdout
    other = run("weights", "farm", *classes, "--split", "val")
    assert "weed        0     0 %      0" in other.stdout
    assert "no pixel of weed in the val files" in other.stderr


def test_weights_for_programs_and_for_pasting(data: Path) -> None:
    farm = ("weights", "farm", "--classes", ",".join(OWN))
    pasted = run(*farm, "--output-format", "list", "--clip", "0.5,1.5", "--query-head").stdout
    assert [float(w) for w in pasted.split(",")] == [0.5, 1.0, 1.5, 0.1]
    planned = patch(MASK2FORMER, OWN, class_weight=pasted)
    assert planned.config.model.decode_head.loss_cls.class_weight == [0.5, 1.0, 1.5, 0.1]
    record = json.loads(run(*farm, "--all-methods", "--output-format", "json").stdout)
    assert list(record["weights"]) == list(METHODS)
    assert record["weights"]["median-frequency"] == by_median()
    assert [c["pixels"] for c in record["classes"]] == list(PIXELS_OF_OWN)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--clip", "3"], "--clip is '3', but two numbers are needed"),
        (["--clip", "2,4"], "which has to lie between the two"),
        (["--all-methods", "--output-format", "list"], "prints one method"),
        (["--split", "dev"], "dev"),
    ],
)
def test_wrong_use_is_said(data: Path, options: list[str], said: str) -> None:
    done = run("weights", "farm", "--classes", ",".join(OWN), *options)
    assert isinstance(done.exception, FixkitError)
    assert said in str(done.exception)


def test_saved_statistics_never_change_their_label_space(data: Path) -> None:
    save_stats(scan("farm", OWN), Path("farm.json"))
    for options, said in (
        (("--classes", "soil,weed,crop"), "has the classes soil, crop, weed, but you give"),
        (("--num-classes", "2"), "has the classes soil, crop, weed, but you give class_0"),
        (("--reduce-zero-label",), "was read with ignore_index=255 and reduce_zero_label=False"),
    ):
        done = run("weights", "farm.json", *options)
        assert said in str(done.exception)


def test_only_a_method_makes_patch_load_the_scan(data: Path) -> None:
    code = (
        "import sys\n"
        "from mmseg_fixkit import patch\n"
        "patch(sys.argv[1], ('a', 'b'), class_weight=sys.argv[2])\n"
        "print(*sorted(n for n in sys.modules if n.startswith('mmseg_fixkit')))"
    )
    for word in ("1,2", "none", "keep"):
        done = subprocess.run(
            [sys.executable, "-c", code, PSPNET, word], capture_output=True, text=True, check=True
        )
        loaded = set(done.stdout.split())
        assert not {n for n in loaded if n.endswith(("class_weights", "scan_files"))}
        assert "mmseg_fixkit.apis.patch_options" in loaded
