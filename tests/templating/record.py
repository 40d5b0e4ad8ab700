"""Writes what ansible-core makes of the cases into recorded/: `SHEPHERD_ORACLE=… python record.py [name…]`."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

import oracle


def main(names: list[str]) -> None:
    for path in sorted((oracle.HERE / "cases").glob("*.yml")):
        if names and path.stem not in names:
            continue
        variables, cases = oracle.cases(path)
        answers = in_tree(lambda tree, v=variables, c=cases: oracle.ask(v, c, tree))
        rows = [{**_question(case), **answer} for case, answer in zip(cases, answers, strict=True)]
        _write(path.stem, rows)
    if not names or "files" in names:
        variables, _ = oracle.cases(oracle.HERE / "files.yml")
        _write("files", in_tree(lambda tree: oracle.render_files(variables, tree)))


def in_tree(use):
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder).resolve() / "tree"
        shutil.copytree(oracle.TREE, tree)
        return use(tree)


def _question(case: dict) -> dict:
    return {key: case[key] for key in ("template", "when") if key in case}


def _write(name: str, rows: object) -> None:
    text = json.dumps(rows, ensure_ascii=False, indent=1)
    (oracle.RECORDED / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    print(f"{name}: {len(rows)}")  # type: ignore[arg-type]


if __name__ == "__main__":
    main(sys.argv[1:])
