"""Stands in for a launcher of training where only its process matters; ends as ENDING says."""

import json
import os
import signal
import sys
import time
from pathlib import Path


def main(arguments: list[str]) -> int:
    """Writes its words into a checkpoint folder, or goes another way."""
    output, ending = Path(arguments[arguments.index("--output") + 1]), os.environ["ENDING"]
    print("step 1/2")
    if ending == "user":
        print("error: unknown corpus")
        return 2
    if ending == "failed":
        print("stopped: step 2: the loss is not finite")
        return 1
    if ending == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if ending == "until stopped":
        stopped = []
        signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
        (output / "started").touch()
        while not stopped:
            time.sleep(0.01)
    if ending in ("stopped", "until stopped"):
        print("stopped at step 1 of 2, saved; go on with --resume")
        return 0
    (output / "model").mkdir()
    about = {"words": arguments, "process": os.getpid(), "parent": os.getppid()}
    about |= {"share": os.environ["LOCAL_SIZE"], "late": "colorsys" in sys.modules}
    import colorsys  # noqa: F401 - what a run imports on its way, the next ones find

    (output / "model" / "config.json").write_text(json.dumps(about))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
