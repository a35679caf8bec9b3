#!/usr/bin/env bash
# Builds the CPU image with buildah and starts it as a cluster would: a user that isn't root, a read-only root with a
# tmpfs on /tmp, no new privileges. It must get ready, answer a streamed completion, and end when it is told to.
#
# Needs root, Debian's packages buildah and mmdebstrap, a JDK 25 in JAVA_HOME, and no Docker engine: the base images
# are made of Debian's packages, since no registry may be at hand.
#   CONTAINER_TEST_FOLDER  where to work (default: a temporary folder that is removed at the end)
#   MAVEN_ARGS             further arguments for Maven
set -euo pipefail

home=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
jdk=${JAVA_HOME:?JAVA_HOME must be the folder of a JDK 25}
release=bookworm
port=28080
management_port=29000

if [[ -n ${CONTAINER_TEST_FOLDER:-} ]]; then
    work=$CONTAINER_TEST_FOLDER
    mkdir -p "$work"
else
    work=$(mktemp -d)
fi

say() { echo "container-test: $*" >&2; }

# Images live in the work folder, in plain directories: no overlay file system is needed, nor a daemon.
image() { buildah --root "$work/images" --runroot "$work/run" --storage-driver vfs "$@"; }

cleanup() {
    [[ -z ${server:-} ]] || kill "$server" 2>/dev/null || true
    [[ -z ${container:-} ]] || image umount "$container" >/dev/null 2>&1 || true
    [[ -n ${CONTAINER_TEST_FOLDER:-} ]] || rm -rf "$work"
}
trap cleanup EXIT

# An image NAME of Debian's essential packages and those given.
base_image() {
    local name=$1 packages=$2 archive=$work/$1.tar scratch
    [[ -f $archive ]] || mmdebstrap --quiet --variant=minbase --include="$packages" "$release" "$archive"
    scratch=$(image from scratch)
    image add --quiet "$scratch" "$archive" / >/dev/null
    if [[ $name == build ]]; then
        # A packaged JDK has links to files outside its folder.
        tar --create --dereference --directory "$jdk" --file "$work/jdk.tar" .
        image add --quiet "$scratch" "$work/jdk.tar" /opt/java/openjdk >/dev/null
        rm "$work/jdk.tar"
        image config --env JAVA_HOME=/opt/java/openjdk --env PATH=/opt/java/openjdk/bin:/usr/bin:/bin "$scratch"
    fi
    image commit --quiet "$scratch" "localhost/weft-$name" >/dev/null
    image rm "$scratch" >/dev/null
}

say "base images"
base_image build ca-certificates,curl,unzip
base_image runtime libstdc++6

say "image"
# Maven's folder of the machine saves the downloads; isolation chroot needs no namespaces.
mkdir -p "$HOME/.m2"
image bud --isolation chroot --network host --volume "$HOME/.m2:/root/.m2" \
    --build-arg BUILD_IMAGE=localhost/weft-build --build-arg RUNTIME_IMAGE=localhost/weft-runtime \
    --build-arg MAVEN_ARGS="${MAVEN_ARGS:-}" \
    --file "$home/src/main/docker/Dockerfile.cpu" --tag localhost/weft:cpu "$home" >"$work/build.log" 2>&1 \
    || { tail -n 40 "$work/build.log" >&2; say "FAILED: the image cannot be built"; exit 1; }

container=$(image from localhost/weft:cpu)
root=$(image mount "$container")
user=$(image inspect --format '{{.OCIv1.Config.User}}' localhost/weft:cpu)
entrypoint=$(image inspect --format '{{index .OCIv1.Config.Entrypoint 0}}' localhost/weft:cpu)
command=$(image inspect --format '{{index .OCIv1.Config.Cmd 0}}' localhost/weft:cpu)
mapfile -t environment < <(image inspect --format '{{range .OCIv1.Config.Env}}{{println .}}{{end}}' localhost/weft:cpu | grep .)
say "$(du -sh "$root" | cut -f 1) in all, $(du -sh "$root/opt/weft" | cut -f 1) of them Weft; starts $entrypoint $command as $user"
[[ $user =~ ^[1-9][0-9]*:[1-9][0-9]*$ ]] || { say "FAILED: the image's user is '$user'"; exit 1; }

# What the chart's Deployment gives to the container: a mount and a PID namespace of its own, the root file system
# read-only, a tmpfs where it has an emptyDir, no capabilities and no way to get any.
start() {
    # shellcheck disable=SC2016 # for the inner shell to expand
    exec unshare --mount --pid --fork --kill-child bash -euc '
        root=$1 user=$2
        shift 2
        mount --bind "$root" "$root"
        mount -t proc proc "$root/proc"
        mount --rbind /dev "$root/dev"
        for folder in tmp var/cache/weft; do
            mkdir -p "$root/$folder"
            mount -t tmpfs -o size=256m,mode=1777 tmpfs "$root/$folder"
        done
        mount -o remount,bind,ro "$root"
        exec chroot "$root" setpriv --no-new-privs --bounding-set=-all --inh-caps=-all \
            --reuid="${user%:*}" --regid="${user#*:}" --clear-groups env -i "$@"
    ' start "$root" "$user" "$@"
}

fail() {
    say "FAILED: $*"
    [[ ! -f ${log:-} ]] || tail -n 40 "$log" >&2
    exit 1
}

log=$work/weft.log
start "${environment[@]}" \
    WEFT_HOST_MEMORY=512Mi WEFT_DEVICE_MEMORY=512Mi WEFT_MANAGEMENT_PORT=$management_port WEFT_DRAIN_TIMEOUT=20s \
    WEFT_JAVA_OPTS="-Xms256m -Xmx256m -XX:MaxDirectMemorySize=64m" QUARKUS_HTTP_PORT=$port \
    "$entrypoint" "$command" >"$log" 2>&1 &
server=$!

began=$SECONDS
until curl -sf "http://localhost:$management_port/q/health/ready" >/dev/null; do
    kill -0 "$server" 2>/dev/null || fail "it ended before it was ready"
    ((SECONDS - began < 60)) || fail "not ready after 60 s"
    sleep 0.2
done
java=$(pgrep -P "$server")
say "ready after $((SECONDS - began)) s, $(awk '/VmRSS/ {print $2 / 1024 " MiB resident"}' "/proc/$java/status")"

[[ $(stat -c %u "/proc/$java") == "${user%:*}" ]] || fail "it runs as $(stat -c %u "/proc/$java"), not as ${user%:*}"
grep -q '^NoNewPrivs:.*1$' "/proc/$java/status" || fail "it may get new privileges"
grep -q '^CapEff:.*0000000000000000$' "/proc/$java/status" || fail "it has capabilities"
if touch "/proc/$java/root/opt/weft/written" 2>/dev/null; then
    fail "its root file system can be written to"
fi

WEFT_URL=http://localhost:$port sh "$home/helm/weft/files/test.sh" || fail "helm test's script does not pass"

kill -TERM "$java"
wait "$server" && status=0 || status=$?
server=
# A JVM that ends on SIGTERM exits with 128 + 15.
[[ $status == 0 || $status == 143 ]] || fail "it ended with status $status when it was told to stop"
grep -q 'weft stopped in' "$log" || fail "it did not end in order"
say "passed: $(image images --format '{{.Size}}' localhost/weft:cpu), non-root, read-only root, no capabilities"
