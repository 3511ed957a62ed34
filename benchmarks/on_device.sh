#!/usr/bin/env bash
# All that wants a GPU, in one call of at most 8 minutes: the tests of tests/cuda, then the times beside PyTorch, then a figure.
#
#   bash benchmarks/on_device.sh [FOLDER]       results go to FOLDER (default: benchmarks/results)
#
# From a bare checkout: nothing is installed, nothing is fetched. Wants Python with numba, numba-cuda, pytest, hypothesis, and PyTorch
# and torchvision for the times. With NUMBA_ENABLE_CUDASIM=1 it rehearses, at toy sizes and without times.
set -uo pipefail
cd "$(dirname "$0")/.."
out=$(mkdir -p "${1:-benchmarks/results}" && cd "${1:-benchmarks/results}" && pwd)
python=${PYTHON:-python3}
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH} HYPOTHESIS_PROFILE=few
export NUMSEG_CACHE_DIR=${NUMSEG_CACHE_DIR:-$(mktemp -d)}
shards=${SHARDS:-6} failed=0

"$python" -m numseg info | tee "$out/on_device-info.txt"
if ! "$python" -c 'import sys; from numseg.cuda.runtime import cuda_available; sys.exit(not cuda_available())'; then
    echo "on_device.sh: there is no GPU: $("$python" -c 'from numseg.cuda.runtime import describe_cuda; print(describe_cuda())')" >&2
    exit 2
fi

# Compiling takes most of the time, and cores are many: the operators are dealt out to several processes.
jobs=()
for ((i = 0; i < shards; i++)); do
    NUMSEG_SHARD=$i/$shards timeout "${TEST_SECONDS:-210}" "$python" -m pytest tests/cuda/test_twins.py -q -p no:cacheprovider \
        ${TESTS:+-k "$TESTS"} --junitxml="$out/on_device-twins-$i.xml" >"$out/on_device-twins-$i.txt" 2>&1 &
    jobs+=($!)
done
timeout "${TEST_SECONDS:-210}" "$python" -m pytest tests/cuda -q -p no:cacheprovider --ignore=tests/cuda/test_twins.py \
    ${TESTS:+-k "$TESTS"} --junitxml="$out/on_device-rest.xml" >"$out/on_device-rest.txt" 2>&1 &
jobs+=($!)
for job in "${jobs[@]}"; do
    wait "$job"; code=$?
    case $code in
        0 | 5) ;; # 5: a process had no tests
        124) echo "on_device.sh: tests ran out of time"; failed=1 ;;
        *) echo "on_device.sh: tests failed ($code)"; failed=1 ;;
    esac
done
tail -qn 1 "$out"/on_device-*.txt

measure=(--skip-tests --out "$out")
if [ -n "${NUMBA_ENABLE_CUDASIM:-}" ] && [ "$NUMBA_ENABLE_CUDASIM" != 0 ]; then measure=(--dry-run); fi
timeout "${BENCH_SECONDS:-210}" "$python" -m benchmarks --device cuda "${measure[@]}" || { echo "on_device.sh: times: exit code $?"; failed=1; }
"$python" benchmarks/gpu_figure.py "$out" || { echo "on_device.sh: figure: exit code $?"; failed=1; }
[ "$failed" -eq 0 ] && echo "on_device.sh: passed" || echo "on_device.sh: something failed or ran out of time: look at $out"
exit "$failed"
