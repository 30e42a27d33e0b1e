"""What benchmarks/peers.sh does without a peer: arithmetic, tables, syntax of all files. A test of the suite."""

import ast
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.dont_write_bytecode = True
import report


def result(*ms):
    return {"ms": list(ms), "foreign": 0.25}


class Contender:
    def __init__(self, peer, precision, setting):
        self.peer, self.precision, self.setting, self.details = peer, precision, setting, [0.5, 0.7, 0.6]


def check(found, expected):
    if found != expected:
        sys.exit(f"self_test.py: found {found!r}, expected {expected!r}")


def check_training(machine):
    """The tables of train_peer.sh."""
    ms = report.spread([100.0, 200.0, 300.0])
    row = {"precision": "fp32", "setting": "eager", "ms": ms, "images_per_second": 40.0, "others_took": 0.5}
    document = {"kind": "steps", "machine": machine, "versions": {"torch": "2"}, "date": "today", "command": "--quick",
                "model": "m", "img_size": 224, "batch": 8, "threads": 2, "rounds": 3, "steps": 1, "skipped": ["bf16: slow"],
                "failures": [], "tried": [{"precision": "bf16", "setting": "bad", "ms": None}],
                "rows": [{"program": "asmlp", **row}, {"program": "torch", **row, "loss_difference": 1e-7,
                                                       "asmlp_is_faster": report.spread([2.0])}]}
    text = report.training_markdown(document)
    for line in ["| fp32 | asmlp | eager | 200.0 | 100.0 | 120.0-280.0 | 40.00 | - | - | 50 % |",
                 "| fp32 | PyTorch | eager | 200.0 | 100.0 | 120.0-280.0 | 40.00 | **2.00 x** (2.00-2.00) | 1.0e-07 | 50 % |",
                 "| bf16 | bad | failed |", "- bf16: slow"]:
        check(line in text, True)
    document.update(kind="memory", rows=[{"checkpointing": True, "asmlp_mb": 700.0, "pytorch_mb": 1000.0,
                                          "allocator": "glibc", "below": 0.3}])
    check("| yes | 700 | 1000 | glibc | 30 % |" in report.training_markdown(document), True)


def main():
    for path in [*HERE.glob("*.py"), HERE.parent / "train_peer.py"]:
        ast.parse(path.read_text(), str(path))
    ramp = [10.0 * k for k in range(11)]
    check(round(report.quantile(ramp[::-1], 0.234), 9), 23.4)
    check(report.spread([7.0]), {"median": 7.0, "min": 7.0, "p10": 7.0, "p90": 7.0})
    ours = report.row(Contender("asmlp", "fp32", "avx2, fma"), 8, [result(10, 10, 10), result(20, 20, 20)], 0.0)
    check((ours["images_per_second"], ours["share_of_peak"]), (8e3 / 15, 0.6))
    theirs = report.row(Contender("openvino", "fp32", "ONNX"), 8, [result(30, 30, 90), result(20, 30, 40)], 1e-6)
    # The rounds' medians are 30 and 30: 3 times and 1.5 times ours.
    for row in [ours, theirs]:
        report.compare(row, [ours])
    check(theirs["asmlp_is_faster"]["fp32"]["median"], 2.25)
    check("asmlp_is_faster" in ours, False)
    document = {"machine": {"name": "Processor", "cores": 2, "features": ["avx2"], "memory_gib": 1, "kernel": "6",
                            "load_before": 0.1, "load_after": 0.2},
                "versions": {"asmlp": "1", "openvino capabilities": ["FP32"]}, "date": "today", "model": "m",
                "threads": 2, "rounds": 2, "rows": [ours, theirs], "skipped": ["torch: none"], "failures": [],
                "tried": [{"peer": "openvino", "precision": "fp32", "batch": 8, "setting": "bad", "ms": None}]}
    text = report.markdown(document)
    for line in ["| precision | batch | asmlp | OpenVINO |", "| fp32 | 8 | **533.3** | 266.7: 2.25 x (1.65-2.85) |",
                 "| fp32 | 8 | asmlp | avx2, fma | 15.0 | 10.0 | 10.0-20.0 | 533.3 | 60 % | 0.0e+00 | 25 % |",
                 "| fp32 | 8 | OpenVINO | bad | failed |", "- torch: none"]:
        check(line in text, True)
    check("Failures" in text, False)
    check_training(document["machine"])
    print("self_test.py: passed")


if __name__ == "__main__":
    main()
