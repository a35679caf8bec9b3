#!/bin/sh
# Puts a version's artefacts into BUILD/release: the portable bundle, the demo model, the chart, the SBOM, checksums.
#   build.sh BUILD VERSION TIMESTAMP
# BUILD is Maven's folder after a build. Two runs on one commit, with one JDK, one nvcc and one xz, make the same bytes,
# but for what docs/releasing.md names.
set -eu
build=$1
version=$2
timestamp=$3
here=$(cd "$(dirname "$0")" && pwd)
home=$here/../..
release=$build/release

fail() {
    printf 'release: %s\n' "$@" >&2
    exit 1
}

[ -f "$build/classes/weft/cuda/kernels.fatbin" ] || fail "there are no CUDA kernels: install nvcc, or set CUDA_HOME"
chart_version=$(sed -n 's/^version: //p' "$home/helm/weft/Chart.yaml")
[ "$chart_version" = "$version" ] || fail "helm/weft/Chart.yaml has version $chart_version, not $version"

rm -rf "$release"
mkdir -p "$release"
sh "$here/../portable/build.sh" "$build/quarkus-app" "$build" "$timestamp"
mv "$build/weft-portable.tar.xz" "$release/weft-$version-linux-x86_64.tar.xz"
mv "$build/weft-demo-model.tar.gz" "$release/weft-$version-demo-model.tar.gz"
# As `helm package` does, without what .helmignore names.
sh "$here/pack.sh" "$home/helm/weft" "$release/weft-$version.tgz" "$timestamp" --exclude=weft/ci
cp "$build/bom.json" "$release/weft-$version.cdx.json"
(cd "$release" && sha256sum weft-* >SHA256SUMS && cat SHA256SUMS)
