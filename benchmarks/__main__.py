"""All benchmarks, one after the other, and the page that shows them: ``python -m benchmarks``."""

import subprocess
import sys

from benchmarks import summary

ALL = ("windows", "attention", "augmentation", "preprocessing", "selection", "training_step", "startup", "scaling")


def main() -> None:
    """Run each in a process of its own; the page is made even where one fails."""
    failed = [
        name for name in ALL if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode
    ]
    summary.main()
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
