"""``mmseg-fix scan`` as users meet it: formats, exit codes, files written, what is imported."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Optional

import numpy as np
import pytest
from PIL import Image

from mmseg_fixkit import LabelSpace, LabelStats, scan
from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.datasets.stats import load_stats
from tests.helpers.labels import areas, config, dataset, save
from tests.helpers.paths import CONFIGS

CODE = "from mmseg_fixkit.cli import main; main()"


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def run(*arguments: str, code: str = CODE) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, "scan", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "100"},
    )


@pytest.fixture
def wrong() -> str:
    """Write a dataset of four classes with one file that has others; return its config."""
    root = dataset(Path("farm"), 4)
    path = root / "ann/train/2.png"
    label = np.array(Image.open(path)).astype(int)
    label[0, :40] = 77
    save(label, path)
    return str(config(root, 4))


def test_a_finding_is_exit_code_1_and_stdout_is_the_report(wrong: str) -> None:
    done = run(wrong)
    assert (done.returncode, done.stderr) == (1, "")
    assert "MSF401" in done.stdout
    assert "77 (40 pixels)" in done.stdout
    assert "\x1b" not in done.stdout
    assert run(wrong, "--exit-zero").returncode == 0
    assert run(wrong, "--ignore", "MSF401").returncode == 0


def test_a_project_ignores_codes_of_configs_and_of_label_files_in_one_list(wrong: str) -> None:
    table = '[tool.mmseg-fixkit]\nignore = { MSF401 = "they are mended later", MSF302 = "known" }\n'
    Path("pyproject.toml").write_text(table)
    done = run(wrong)
    assert (done.returncode, done.stderr) == (0, "note: ignored MSF401: they are mended later\n")
    assert run(wrong, "--select", "MSF401").returncode == 1
    checked = subprocess.run(
        [sys.executable, "-c", CODE, "check", wrong], capture_output=True, text=True, check=False
    )
    assert "selects no rule" not in checked.stderr


@pytest.mark.parametrize("no_color", [None, "1"])
def test_a_terminal_gets_colours_unless_it_asks_for_none(
    wrong: str, no_color: Optional[str]
) -> None:
    mine, its = pty.openpty()
    environment = {k: v for k, v in os.environ.items() if k != "NO_COLOR"}
    if no_color is not None:
        environment["NO_COLOR"] = no_color
    command = [sys.executable, "-c", CODE, "scan", wrong]
    subprocess.run(command, stdout=its, env=environment, check=False)
    os.close(its)
    seen = os.read(mine, 65536)
    os.close(mine)
    assert b"MSF401" in seen
    assert (b"\x1b[" in seen) == (no_color is None)


def test_nothing_wrong_is_exit_code_0() -> None:
    dataset(Path("farm"), 4)
    assert run(str(config(Path("farm"), 4))).returncode == 0
    assert run("farm").returncode == 0


def test_json_has_the_statistics_and_the_findings(wrong: str) -> None:
    found = json.loads(run(wrong, "--output-format", "json").stdout)
    assert found["source"] == wrong
    assert found["splits"]["train"]["raw"]["77"] == 40
    (finding,) = found["findings"]
    assert (finding["code"], finding["severity"]) == ("MSF401", "error")
    assert finding["file"].endswith("ann/train/2.png")
    assert finding["found"] == {"77": 40}


def test_github_annotates_the_worst_file(wrong: str) -> None:
    line = run(wrong, "--output-format", "github").stdout
    assert line.startswith("::error file=farm/ann/train/2.png,title=MSF401 label-out-of-range::")
    assert "inherited" not in line


def test_sarif_names_the_file_and_the_rule(wrong: str) -> None:
    assert run(wrong, "--output-format", "sarif", "--output-file", "s.sarif").stdout == ""
    (log,) = json.loads(Path("s.sarif").read_text())["runs"]
    (result,) = log["results"]
    (place,) = result["locations"]
    assert place["physicalLocation"]["artifactLocation"]["uri"] == "farm/ann/train/2.png"
    assert log["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == "MSF401"


def test_the_page_is_one_file(wrong: str) -> None:
    run(wrong, "--html", "r.html")
    text = Path("r.html").read_text()
    assert "MSF401" in text
    assert "<html" in text


def test_saved_statistics_are_read_and_merged(wrong: str) -> None:
    run(wrong, "--split", "train", "--save", "train.json")
    run(wrong, "--split", "val", "--save", "val.json")
    done = run("train.json", "val.json", "--output-format", "json")
    assert done.returncode == 1
    assert list(json.loads(done.stdout)["splits"]) == ["train", "val"]
    assert load_stats("train.json").splits == scan(wrong, splits=["train"]).splits
    refused = run("train.json", "--fix", "ignore", "--out", "new")
    assert (refused.returncode, "needs a config or a folder" in refused.stderr) == (2, True)


@pytest.mark.parametrize("wrap", ["config", "folder"])
def test_corrected_copies_are_clean_and_the_originals_stay(wrong: str, wrap: str) -> None:
    original = Path("farm/ann/train/2.png").read_bytes()
    target = [wrong] if wrap == "config" else ["farm", "--num-classes", "4"]
    done = run(*target, "--fix", "ignore", "--out", "new")
    assert done.returncode == 0
    assert "77" in done.stderr
    assert Path("farm/ann/train/2.png").read_bytes() == original
    assert run("new", "--num-classes", "4").returncode == 0
    assert len(list(Path("new").rglob("*.png"))) == 12


def test_a_mode_that_is_not_known_is_refused_before_anything_is_read(wrong: str) -> None:
    done = run(wrong, "--fix", "mend", "--out", "new")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--fix does not know 'mend'" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.py"], "there is no such file"),
        (["farm/ann/train/2.png"], "is one image"),
        (["farm", "farm"], "one config or folder is scanned at a time"),
        (["farm", "--split", "extra"], "--split is 'extra', but farm has train, val"),
        (["farm", "--fix", "ignore"], "--fix MODE needs --out DIR"),
        (["farm", "--select", "MSF1"], "'MSF1' selects no rule"),
        (["farm/config.py", "--images", "farm/img"], "--images is for a folder"),
        (["farm", "--classes", "a,b", "--num-classes", "2"], "classes are given twice"),
        (["farm", "--executor", "fast"], "executor is 'fast'"),
        (["empty"], "empty has no image"),
    ],
)
def test_wrong_use_is_one_sentence_and_exit_code_2(
    wrong: str, arguments: list[str], said: str
) -> None:
    Path("empty").mkdir()
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert done.stderr.startswith("mmseg-fix: error: ") or "note: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_split_without_images_is_what_stops_training(wrong: str) -> None:
    text = Path(wrong).read_text()
    Path(wrong).write_text(text.replace("pipeline=", "img_suffix='.tif', pipeline="))
    done = run(wrong)
    assert done.returncode == 2
    assert "names that end with '.tif'" in done.stderr
    assert "num_samples=0" in done.stderr


def test_a_folder_is_scanned_without_openmmlab(wrong: str) -> None:
    code = (
        "import sys\n"
        "for name in ('mmengine', 'mmcv', 'mmseg', 'torch', 'cv2'): sys.modules[name] = None\n"
    )
    done = run("farm", "--num-classes", "4", code=code + CODE)
    assert done.returncode == 1
    assert "MSF401" in done.stdout


@pytest.mark.parametrize("arguments", [["--help"], ["farm", "--num-classes", "4"]])
def test_what_lays_out_a_report_is_imported_for_it_only(wrong: str, arguments: list[str]) -> None:
    code = (
        "import atexit, sys\n"
        "loaded = lambda: print(*sorted({'rich', 'jinja2', 'numpy'} & set(sys.modules)))\n"
        "atexit.register(loaded)\n"
    )
    last = run(*arguments, code=code + CODE).stdout.splitlines()[-1]
    assert last == ("" if arguments == ["--help"] else "numpy rich")


def test_modules_that_a_config_names_are_not_imported(wrong: str) -> None:
    path = Path(wrong)
    path.write_text(path.read_text() + "custom_imports = dict(imports=['not_there'])\n")
    done = run(wrong)
    assert (done.returncode, done.stderr) == (1, "")


def test_classes_and_zero_label_of_the_user_count(wrong: str) -> None:
    done = run("farm/ann/val", "--num-classes", "3", "--reduce-zero-label")
    assert done.returncode == 0
    done = run("farm/ann/val", "--classes", "a,b,c")
    assert "MSF421" in done.stdout
    assert "reduce_zero_label=True" in " ".join(done.stdout.split())


def test_images_beside_a_folder_of_labels_are_compared(wrong: str) -> None:
    save(areas(range(4), (20, 20)), Path("farm/ann/train/0.png"))
    done = run("farm/ann/train", "--images", "farm/img/train")
    assert "MSF414" in done.stdout
    assert "20 x 20, its image 64 x 48" in " ".join(done.stdout.split())


@pytest.mark.parametrize("code", ["MSF401", "labels-shifted"])
def test_a_rule_is_explained(code: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE, "rule", code], capture_output=True, text=True, check=True
    )
    assert "## Why is this bad?" in done.stdout


def test_the_list_of_rules_says_where_they_look() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE, "rule", "--all"], capture_output=True, text=True, check=True
    )
    rows = [line for line in done.stdout.splitlines() if line.startswith("| [MSF4")]
    assert len(rows) == 18
    assert all("*In label files.*" in row for row in rows)


# --- the library --------------------------------------------------------------------------------


def test_the_library_takes_a_loaded_config_and_a_label_space(wrong: str) -> None:
    from mmengine.config import Config

    stats = scan(Config.fromfile(wrong), LabelSpace(("a", "b", "c"), reduce_zero_label=True))
    assert isinstance(stats, LabelStats)
    assert (stats.classes, stats.reduce_zero_label) == (("a", "b", "c"), True)
    assert list(stats.splits) == ["train", "val"]


def test_files_elsewhere_are_listed_and_read_through_mmengine(
    wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mmengine.fileio import LocalBackend, register_backend

    class Elsewhere(LocalBackend):
        """A store that has the files under other names."""

        def get(self, filepath: str) -> bytes:
            return super().get(str(filepath).replace("store", "farm"))

        def list_dir_or_file(self, dir_path: str, *arguments: object, **options: object) -> object:
            folder = str(dir_path).replace("store", "farm")
            return super().list_dir_or_file(folder, *arguments, **options)  # type: ignore[arg-type]

    register_backend("elsewhere", Elsewhere, force=True)
    here = scan(wrong, cache=False)
    args = "dict(backend='elsewhere')"
    text = Path(wrong).read_text()
    text = text.replace("data_root='farm'", f"data_root='store', backend_args={args}")
    text = text.replace("'LoadAnnotations'", f"'LoadAnnotations', backend_args={args}")
    Path("there.py").write_text(text)
    there = scan("there.py", cache=False)
    assert {name: split.raw for name, split in there.splits.items()} == {
        name: split.raw for name, split in here.splits.items()
    }
    assert (
        there.splits["train"].problems["out-of-range"].worst_files[0].file
        == "store/ann/train/2.png"
    )


def test_progress_is_told_and_jobs_change_nothing(wrong: str) -> None:
    done: list[int] = []
    one = scan(wrong, jobs=1, cache=False, progress=done.append)
    assert done[-1] == 12
    assert scan(wrong, jobs=2, cache=False) == one
    assert scan(wrong) == scan(wrong) == one  # from the cache


def test_what_cannot_be_scanned_is_said(wrong: str) -> None:
    with pytest.raises(FixkitError, match="there is no such file"):
        scan("nowhere.py")
    with pytest.raises(FixkitError, match="class name"):
        scan(wrong, ["", "b"])


def test_labels_that_overlap_are_not_read_as_numbers_of_classes() -> None:
    cells = CONFIGS / "multilabel" / "deeplabv3plus_cells.py"
    with pytest.raises(FixkitError, match="has several labels a pixel"):
        scan(cells)


def test_a_config_in_json_is_a_config(wrong: str) -> None:
    from mmengine.config import Config

    Config.fromfile(wrong).dump("farm.json")
    done = run("farm.json")
    assert (done.returncode, done.stderr) == (1, "")
    assert "77 (40 pixels)" in done.stdout
    Path("child.json").write_text('{"_base_": "farm.json"}')
    assert "77 (40 pixels)" in run("child.json").stdout
    for text in ('{"model": 1', "[]", '{"format": 1, "model": {}}'):
        Path("other.json").write_text(text)
        done = run("other.json")
        assert done.returncode == 2
        assert "other.json holds no label statistics" in done.stderr


#: No UTF-8, a line feed, and what a terminal, a page and a workflow log would obey.
ODD = os.fsdecode(b"odd \xff\n::error::\x1b[31m<script>alert(1)<")


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """Write a dataset of the usual layout whose names are odd, and that cannot be listed whole."""
    for split in ("train", "val"):
        for name, value in ((ODD, 77), ("plain", 1)):
            label = np.full((9, 12), value, np.uint8)
            for folder in ("images", "labels"):
                path = tmp_path / "data" / folder / split / ODD / f"{name}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(label).save(path)
    labels = tmp_path / "data/labels/train" / ODD
    (labels / f"{ODD}2.png").write_bytes(b"\x89PNG")
    os.symlink(".", tmp_path / "data/images/train/circle")
    os.symlink("self.png", tmp_path / "data/images/val/self.png")
    os.symlink(labels / "plain.png", tmp_path / "data/images/train" / ODD / f"{ODD}2.png")
    return tmp_path / "data"


def test_odd_names_and_circles_cost_no_scan(odd: Path, tmp_path: Path) -> None:
    page, saved = tmp_path / "page.html", tmp_path / "stats.json"
    done = run(str(odd), "--classes", "a,b", "--html", str(page), "--save", str(saved))
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert "MSF401" in done.stdout
    assert "MSF411" in done.stdout
    assert "\x1b" not in done.stdout
    assert "\n::error" not in done.stdout
    assert "self.png (it cannot be read: Too many levels of symbolic links)" in done.stdout
    text = page.read_text("utf-8")
    assert "<script>alert(1)" not in text
    assert "\x1b" not in text
    stats = load_stats(saved)
    train, val = stats.splits["train"], stats.splits["val"]
    assert train.raw == val.raw == {1: 108, 77: 108}
    bad = {Path(b.file).name for b in train.problems["unreadable"].worst_files}
    assert bad == {"circle", f"{ODD}2.png"}
    merged = run(str(saved), str(saved), "--output-file", str(tmp_path / "merged.txt"))
    assert (merged.returncode, merged.stderr) == (1, "")
    assert "MSF401" in (tmp_path / "merged.txt").read_text("utf-8")


def test_corrected_copies_of_odd_names_are_written_and_the_others_named(
    odd: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = run(str(odd), "--classes", "a,b", "--fix", "ignore", "--out", str(out))
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert "2 rewritten, 2 copied" in done.stderr.replace("files ", "")
    assert "3 refused" in done.stderr
    fixed = out / "train" / ODD / f"{ODD}.png"
    assert np.unique(np.array(Image.open(fixed))).tolist() == [255]
    again = run(str(odd), "--classes", "a,b", "--fix", "ignore", "--out", str(out))
    assert (again.returncode, again.stderr) == (1, done.stderr)
