#!/bin/sh
# Instructions per message of the codec, counted by callgrind: no clock, so a busy machine does not matter.
# Usage: examples/cost.sh    (needs valgrind)
set -eu
cd "$(dirname "$0")/.."
cargo build --quiet --release --example cost
bin=${CARGO_TARGET_DIR:-../../../target}/release/examples/cost
count() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$bin" "$@" 2>&1 | sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}
for what in parse deliver; do
    for kind in plain rich; do
        for bytes in 16 1024; do
            few=$(count "$what" "$kind" "$bytes" 1000)
            many=$(count "$what" "$kind" "$bytes" 21000)
            echo "$what $kind $bytes B: $(((many - few) / 20000)) instructions"
        done
    done
done
