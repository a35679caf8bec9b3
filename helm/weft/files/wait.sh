#!/bin/sh
# Waits until the download has put a whole model into $MODEL.
set -eu

waited=0
until [ -f "$MODEL/.complete" ]; do
    if [ $((waited % 60)) -eq 0 ]; then
        echo "waiting for $MODEL ($(du -sh "$MODEL" 2>/dev/null | cut -f 1) so far); see the Job's log"
    fi
    sleep 5
    waited=$((waited + 5))
done
echo "complete: $MODEL"
