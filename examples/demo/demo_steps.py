"""What the demo's steps do."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from agentflow import Context, StepError

HERE = Path(__file__).parent
FOLDERS = ("agentflow", "a2a", "mcp_server", "tests", "examples", "benchmarks", "docs")


def find_packages(root: str) -> list[dict[str, Any]]:
    """Find the folders that hold Python files, each with its files."""
    base = (HERE / root).resolve()
    packages: dict[str, list[str]] = {}
    for folder in FOLDERS:
        for path in sorted((base / folder).rglob("*.py")):
            name = path.parent.relative_to(base).as_posix()
            if "/." not in name:  # environments of the benchmarks are no work of ours
                packages.setdefault(name, []).append(str(path))
    return [{"name": name, "files": files} for name, files in packages.items()]


def count_lines(name: str, files: list[str], ctx: Context) -> dict[str, Any]:
    """Count lines and words of some files."""
    lines = words = 0
    for number, file in enumerate(files):
        ctx.progress(number / len(files), Path(file).name)
        text = Path(file).read_text(encoding="utf-8")
        lines += text.count("\n")
        words += len(text.split())
    return {"name": name, "files": len(files), "lines": lines, "words": words}


def leave_lock(ctx: Context) -> dict[str, str]:
    """Leave a lock file, as a process that died would."""
    path = Path(tempfile.gettempdir()) / f"agentflow-demo-{ctx.run_id}.lock"
    path.write_text("left behind\n", encoding="utf-8")
    return {"path": str(path)}


def take_lock(path: str) -> str:
    """Take the lock; one that was left behind is removed, and this attempt fails."""
    lock = Path(path)
    if lock.exists():
        lock.unlink()
        raise StepError("the lock was left behind by another process; removed it")
    return "taken at the second attempt"


def totals(counts: list[dict[str, Any]]) -> dict[str, Any]:
    """Add up what the packages have."""
    packages = [count["lines"] for count in counts]
    return {
        "packages": len(packages),
        "files": sum(package["files"] for package in packages),
        "lines": sum(package["lines"] for package in packages),
        "words": sum(package["words"] for package in packages),
        "largest": sorted(packages, key=lambda package: (-package["lines"], package["name"])),
    }


def write_report(title: str | None, top: int | None, totals: dict[str, Any], size: str, ctx: Context) -> dict[str, str]:
    """Write the report beside the demo's store, and add it to the run."""
    rows = [f"| {row['name']} | {row['files']} | {row['lines']} |" for row in totals["largest"][: top or 5]]
    text = "\n".join(
        [
            f"# {title or 'Code of this repository'}",
            "",
            f"{totals['lines']} lines, {totals['words']} words: {size}.",
            "",
            "| package | files | lines |",
            "|---|---:|---:|",
            *rows,
            "",
        ]
    )
    path = HERE / ".agentflow" / "report.md"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    ctx.log(text)
    return {"path": path.relative_to(HERE).as_posix()}
