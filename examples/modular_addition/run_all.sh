#!/bin/sh
# Everything the documentation reports, in order; training is separate: python src/train.py
set -e
cd "$(dirname "$0")"
export OMP_NUM_THREADS=1
for step in observe ablation patching fourier; do
    python "experiments/$step.py"
done
