"""The schedule of one stage, as a process of its own: LLVM's passes take up to a minute and cannot be interrupted.

python -m sparsepix_hls.schedule.stage IR STAGE BUDGET_NS    prints JSON
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from sparsepix_hls.schedule.modulo import MAX_INTERVAL, schedule_region
from sparsepix_hls.schedule.optimize import optimized
from sparsepix_hls.schedule.regions import regions
from sparsepix_ops.errors import SparsePixError


def main() -> int:
    """Schedule a stage; what stands in the way goes to the error output in one line, with status 2."""
    file, stage, budget = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    found = []
    try:
        for region in regions(optimized(file.read_text(encoding="utf-8"), stage)):
            schedule = schedule_region(region.operations, budget)
            if schedule is None:
                raise SparsePixError(f"a recurrence needs an interval above {MAX_INTERVAL}")
            lut, dsp = sum(o.lut for o in region.operations), sum(o.dsp for o in region.operations)
            size = {"operations": len(region.operations), "lut": lut, "dsp": dsp}
            found.append({"trips": region.trips, **asdict(schedule), **size})
    except SparsePixError as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
