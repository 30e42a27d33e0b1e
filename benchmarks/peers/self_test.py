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


def main():
    for path in HERE.glob("*.py"):
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
    print("self_test.py: passed")


if __name__ == "__main__":
    main()
