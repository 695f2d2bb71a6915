"""Run the whole zoo and write ``docs/zoo.md``.

python -m tests.zoo --jobs 2 -o docs/zoo.md
python -m tests.zoo --resume            go on where an interrupted run stopped
python -m tests.zoo --only 'pspnet/*'   a part; nothing is written then
python -m tests.zoo --findings -o docs/zoo.md
                                        write only the section on ``check`` again (half a minute)
"""

from __future__ import annotations

import argparse
import os
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import Optional

from mmseg_fixkit.apis.check_files import CheckResult, CheckTarget, check_all
from tests.zoo.configs import ROOT, all_configs
from tests.zoo.findings import Finding, findings_of, unexplained
from tests.zoo.modes import COUNTS
from tests.zoo.page import Zoo, render, with_findings
from tests.zoo.work import Log, jobs_for, run_all, versions


def _counts(text: str) -> tuple[int, ...]:
    return tuple(int(count) for count in text.split(","))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tests.zoo", description="Prove the zoo.")
    parser.add_argument("--jobs", type=int, default=2, help="processes (2)")
    parser.add_argument("--only", metavar="PATTERN", help="configs that fit, as pspnet/*")
    parser.add_argument("--counts", type=_counts, default=COUNTS, help="1,2,7,171")
    parser.add_argument("--resume", action="store_true", help="go on from the log")
    parser.add_argument("--findings", action="store_true", help="only what check says")
    parser.add_argument("--log", type=Path, default=Path("build/zoo.jsonl"), help="JSON lines")
    parser.add_argument("-o", "--output", type=Path, help="the page (docs/zoo.md)")
    return parser.parse_args()


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def check_zoo(configs: tuple[str, ...], jobs: int) -> list[CheckResult]:
    """Let ``check`` look at the unchanged configs."""
    tell(f"check: {len(configs)} configs")
    return list(check_all([CheckTarget(str(ROOT / config)) for config in configs], jobs))


def main() -> int:
    options = arguments()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    every = all_configs()
    configs = tuple(c for c in every if not options.only or fnmatch(c, options.only))
    outcomes = check_zoo(configs, options.jobs)
    if options.findings:
        return finish_findings(findings_of(outcomes), options.output)
    log = Log.open(options.log, options.counts, options.resume)
    jobs = jobs_for(configs, options.counts, every=configs == every)
    run_all(jobs, log, options.jobs, tell)
    zoo = Zoo.of(versions(), options.counts, outcomes, [log.done[job.name] for job in jobs])
    problems = [*zoo.problems(), *unexplained(zoo.findings)]
    problems += zoo.untrained() if configs == every else []
    for problem in problems:
        tell(f"wrong: {problem}")
    tell(zoo.summary())
    return finish(zoo, options.output if configs == every else None, problems)


def finish(zoo: Zoo, output: Optional[Path], problems: list[str]) -> int:
    """Write the page of a whole run in which nothing is wrong."""
    if output is not None and not problems:
        output.write_text(render(zoo))
        tell(f"wrote {output}")
    return 1 if problems else 0


def finish_findings(findings: tuple[Finding, ...], output: Optional[Path]) -> int:
    """Write the section on ``check`` of a page that is there, if all of it is explained."""
    problems = unexplained(findings)
    for problem in problems:
        tell(f"wrong: {problem}")
    tell(f"{len(findings)} findings")
    if output is not None and not problems:
        output.write_text(with_findings(output.read_text(), findings))
        tell(f"wrote {output}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
