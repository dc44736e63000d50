#!/usr/bin/env python3
"""Ask a GPU every open question in one visit of eight minutes, without cargo and without a network.

    python3 hardware.py [--minutes 8] [--adapter SUBSTRING]

`cargo xtask hardware` packs this script with what it starts: the command line, the gpu tier of the tests, a
Vulkan loader and peers.py. It writes hardware.json (all records and the end of each program's output) and
hardware.md (GB/s, and the share of a copy's). The programs check their results before they measure anything.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import subprocess
import sys
import time

FOLDER = pathlib.Path(__file__).resolve().parent
# NVIDIA's container images have this file in a folder where the loader does not look.
NVIDIA_DRIVER = pathlib.Path("/usr/local/nvidia/share/vulkan/icd.d/nvidia_icd.json")
TAIL_CHARACTERS = 12_000
# Two tensors of the largest must fit beside the other ones of a bench.
SIZES = [65_536, 1 << 20, 1 << 24, 1 << 26, 1 << 28, 1 << 30]


def environment():
    """Our loader is used only if LD_LIBRARY_PATH has no other."""
    variables = dict(os.environ, RUST_BACKTRACE="1")
    paths = [variables.get("LD_LIBRARY_PATH"), str(FOLDER / "loader")]
    variables["LD_LIBRARY_PATH"] = ":".join(path for path in paths if path)
    if NVIDIA_DRIVER.exists():
        variables.setdefault("VK_DRIVER_FILES", str(NVIDIA_DRIVER))
    return variables


class Visit:
    """Steps that share a time limit. One that fails or lasts too long does not stop the others."""

    def __init__(self, seconds):
        self.end = time.monotonic() + seconds
        self.steps = []

    def step(self, name, command, limit_s):
        """Runs a program in `limit_s` or what is left; returns its standard output if it succeeded."""
        limit_s = min(limit_s, self.end - time.monotonic())
        step = {"name": name, "command": [str(word) for word in command]}
        self.steps.append(step)
        if limit_s < 5:
            print(f"{name}: no time is left", flush=True)
            step["result"] = "no time left"
            return None
        start = time.monotonic()
        try:
            run = subprocess.run(
                command, cwd=FOLDER, env=environment(), capture_output=True, text=True, timeout=limit_s
            )
            output, errors, step["result"] = run.stdout, run.stderr, run.returncode
        except subprocess.TimeoutExpired as expired:
            texts = [expired.stdout or b"", expired.stderr or b""]
            output, errors = (text.decode(errors="replace") for text in texts)
            step["result"] = f"stopped after {limit_s:.0f} s"
        except OSError as error:
            output, errors, step["result"] = "", str(error), "not started"
        step["seconds"] = round(time.monotonic() - start, 1)
        step["output"] = output[-TAIL_CHARACTERS:]
        step["errors"] = errors[-TAIL_CHARACTERS:]
        print(f"{name}: {step['result']} in {step['seconds']} s", flush=True)
        return output if step["result"] == 0 else None


def read(file):
    path = FOLDER / file
    return json.loads(path.read_text()) if path.exists() else None


def table(record):
    """GB/s of each operation on the GPU, and the share of the copy's."""
    rows = {
        (row["place"], row["operation"], row["dtype"], row["elements"]): row
        for row in record["measurements"]
    }
    lines = ["| operation | type | elements | GB/s | share of a copy |", "|---|---|--:|--:|--:|"]
    for (place, operation, dtype, elements), row in rows.items():
        copy = rows.get((place, "copy", dtype, elements))
        if place != "gpu" or operation == "copy" or copy is None:
            continue
        rate = row["bytes"] / row["wall_seconds"]["median"] / 1e9
        of_copy = copy["bytes"] / copy["wall_seconds"]["median"] / 1e9
        lines.append(
            f"| {operation} | {dtype} | {elements:,} | {rate:.1f} | {rate / of_copy:.2f} |"
        )
    return "\n".join(lines)


def fits(adapter, elements):
    """True if the adapter's bindings take tensors of so many elements in a few pieces."""
    return 4 * elements <= 8 * adapter["max_storage_buffer_binding_bytes"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=8.0, help="the whole visit's limit")
    parser.add_argument("--adapter", default="", help="a part of the adapter's name")
    parser.add_argument("--most", type=int, default=SIZES[-1], help="elements of the largest tensor")
    arguments = parser.parse_args()
    visit = Visit(60 * arguments.minutes)
    program = FOLDER / "wgpu-dropout"
    choice = ["--adapter", arguments.adapter] if arguments.adapter else []

    listed = visit.step("adapters", [program, "adapters", "--json", *choice], 60)
    adapters = json.loads(listed or "[]")
    adapter = next((adapter for adapter in adapters if adapter["taken"]), None)
    if adapter is None:
        print(visit.steps[-1]["errors"], file=sys.stderr)
        sys.exit("no adapter was found")
    print(f"{adapter['backend']}/{adapter['name']}, {adapter['driver_info']}", flush=True)

    share = 60 * arguments.minutes / 16
    visit.step("verify", [program, "verify", "--json", "verify.json", *choice], 2 * share)
    sizes = [size for size in SIZES if size <= arguments.most and fits(adapter, size)]
    bench = [program, "bench", "--seconds", "10", *choice]
    # The largest size may fail without losing the others.
    ranges = {"bench": sizes[:-1], "bench largest": sizes[-1:]}
    for name, of_sizes in ranges.items():
        if not of_sizes:
            continue
        file = name.replace(" ", "-") + ".json"
        words = ["--sizes", ",".join(map(str, of_sizes)), "--json", file]
        visit.step(name, [*bench, *words], 2 * share)
    for operation in ["add", "act", "norm", "softmax"]:
        words = ["--op", operation, "--sizes", str(min(sizes[-1], 1 << 24))]
        file = f"bench-{operation}.json"
        visit.step(f"bench {operation}", [*bench, *words, "--json", file], share)
    visit.step("peers", [sys.executable, "peers.py", "--json", "peers.json"], 2 * share)
    # The tests fail without this backend's adapter instead of skipping it.
    os.environ["REQUIRE_GPU"] = adapter["backend"]
    visit.step("gpu tier", [FOLDER / "gpu-tests"], 4 * share)
    visit.step("verify --long", [program, "verify", "--long", *choice], 4 * share)

    files = ["verify", "bench", "bench-largest", "bench-add", "bench-act", "bench-norm", "bench-softmax", "peers"]
    records = {file: read(f"{file}.json") for file in files}
    visited = {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "machine": platform.platform(),
        "adapter": adapter,
        "steps": visit.steps,
        "records": records,
    }
    (FOLDER / "hardware.json").write_text(json.dumps(visited, indent=1))
    tables = [table(records[name]) for name in ["bench", "bench-largest"] if records[name]]
    results = "\n".join(f"- {step['name']}: {step['result']}" for step in visit.steps)
    head = f"# {adapter['backend']}/{adapter['name']}, {adapter['driver_info']}"
    (FOLDER / "hardware.md").write_text("\n\n".join([head, results, *tables]) + "\n")
    print((FOLDER / "hardware.md").read_text())
    failed = [step["name"] for step in visit.steps if step["result"] not in [0, "no time left"]]
    if failed:
        sys.exit("not passed: " + ", ".join(failed))


if __name__ == "__main__":
    main()
