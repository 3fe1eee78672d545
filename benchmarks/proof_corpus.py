"""Makes ``data/proofs/corpus.jsonl``, what every checker of proofs must say: ``python -m benchmarks.proof_corpus``."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

from stackopt.verification.proof_corpus import built, needed


def main() -> None:
    """Build, choose, write; say how many."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.proof_corpus", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--instances", type=int, default=40, help="random programs whose proofs and mutants are candidates")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "data" / "proofs" / "corpus.jsonl")
    chosen = parser.parse_args()
    candidates = built(chosen.instances)
    kept = needed(candidates)
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.write_text("".join(json.dumps(dataclasses.asdict(case)) + "\n" for case in kept), encoding="utf-8")
    accepted = sum(case.verdict != "REJECTED" for case in kept)
    print(f"{len(kept)} cases of {len(candidates)}: {accepted} to accept, {len(kept) - accepted} to reject; {chosen.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
