"""Record what ansible-core does with each case: python tests/language/record.py FOLDER-OF-ANSIBLE-PLAYBOOK [case …]"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from compare import RECORDED, cases, with_oracle


def main() -> None:
    bin_folder, wanted = Path(sys.argv[1]), sys.argv[2:]
    for case in cases():
        if wanted and case.stem not in wanted:
            continue
        with tempfile.TemporaryDirectory() as folder:
            found = with_oracle(bin_folder, case, Path(folder))
        (RECORDED / f"{case.stem}.json").write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
        print(case.stem, found["exit"], sum(len(answers) for answers in found["hosts"].values()))


main()
