#!/bin/sh
# Runs tests/kits inside the evaluation kits themselves, each in an environment of its own: they ask for a CUDA build of torch
# and for old pins, so only what they import is installed (lmms-eval 0.7.3 reaches into filelock 3). usage: scripts/test_kits.sh [vlmeval] [lmms]
set -eu
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"

# make_environment NAME "packages with what they depend on" "packages alone": the first come first, torch before all
make_environment() {
    folder=.venv-$1
    if [ "$folder/.ready" -nt pyproject.toml ] && [ "$folder/.ready" -nt scripts/test_kits.sh ]; then return; fi
    "$PYTHON" -m venv "$folder"
    "$folder/bin/python" -m pip install --quiet --upgrade pip
    "$folder/bin/python" -m pip install --quiet --no-compile "torch==2.13.0"
    # shellcheck disable=SC2086 # lists of words
    "$folder/bin/python" -m pip install --quiet --no-compile --editable ".[serve]" "pytest>=8" "hypothesis>=6.100" $2
    # shellcheck disable=SC2086
    "$folder/bin/python" -m pip install --quiet --no-compile --no-deps $3
    touch "$folder/.ready"
}

test_vlmeval() {
    make_environment vlmeval \
        "accelerate datasets math-verify matplotlib openai openpyxl pandas python-dotenv requests scipy sympy" \
        "ms-vlmeval==0.0.20 torchvision==0.28.0 tabulate termcolor validators sty portalocker timeout-decorator levenshtein
        rapidfuzz decord jieba nltk rouge six pylatexenc opencv-python-headless imageio json_repair num2words scikit-learn
        joblib cloudpickle narwhals threadpoolctl qwen-vl-utils xlsxwriter"
    .venv-vlmeval/bin/python -m pytest -q -W ignore::DeprecationWarning tests/kits/test_vlmevalkit.py
}

test_lmms() {
    make_environment lmms \
        "accelerate datasets evaluate filelock<4 jinja2 loguru openai pandas python-dotenv pydantic pytz sacrebleu tenacity" \
        "lmms-eval==0.7.3"
    .venv-lmms/bin/python -m pytest -q tests/kits/test_lmms_eval.py
}

[ $# -gt 0 ] || set -- vlmeval lmms
for kit in "$@"; do
    case $kit in
        vlmeval | lmms) "test_$kit" ;;
        *) echo "unknown kit $kit; known: vlmeval, lmms" >&2 && exit 2 ;;
    esac
done
