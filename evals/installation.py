"""Install into an empty environment and say what it took. Run from the project's root as `python -m evals.installation`."""

import json
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent


def measure(extras: str) -> dict[str, object]:
    """Seconds and megabytes of the package with some extras, at the tested versions."""
    with tempfile.TemporaryDirectory() as folder:
        environment = Path(folder) / "venv"
        start = time.monotonic()
        venv.create(environment, with_pip=True)
        wanted = f"{ROOT}[{extras}]" if extras else str(ROOT)
        pip = [
            str(environment / "bin" / "python"),
            "-m",
            "pip",
            "install",
            "-qq",
            "-c",
            str(ROOT / "constraints.txt"),
            wanted,
        ]
        subprocess.run(pip, check=True)  # noqa: S603 - our own interpreter
        seconds = time.monotonic() - start
        size = sum(path.lstat().st_size for path in environment.rglob("*") if not path.is_dir())
    return {"extras": extras, "seconds": round(seconds), "megabytes": round(size / 1e6)}


if __name__ == "__main__":
    print(json.dumps({"installation": measure(sys.argv[1] if len(sys.argv) > 1 else "")}))  # noqa: T201
