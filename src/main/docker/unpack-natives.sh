#!/bin/sh
# Unpacks the native libraries of this machine's kind from the jars of a build, so that a container needs no place to
# unpack them at its start, and takes those of all kinds out of the jars.
#   unpack-natives.sh QUARKUS_APP TARGET
set -eu

app=$1
target=$2
case $(uname -m) in
    x86_64) kind=linux-x86_64 ;;
    aarch64) kind=linux-aarch64 ;;
    *) echo "unpack-natives: no libraries for $(uname -m)" >&2; exit 1 ;;
esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$target"

# unpack NAME LIBRARIES RUBBISH: of the jar NAME, copies LIBRARIES, and deletes RUBBISH; both patterns inside the jar.
unpack() {
    jar=$(find "$app" -name "$1")
    [ -f "$jar" ] || { echo "unpack-natives: not one $1 in $app: $jar" >&2; exit 1; }
    rm -rf "$work/jar"
    mkdir "$work/jar"
    (
        cd "$work/jar"
        jar --extract --file "$jar"
        # shellcheck disable=SC2086 # patterns
        cp $2 "$target/"
        # shellcheck disable=SC2086
        rm -r $3
    )
    jar --create --file "$jar" --no-manifest -C "$work/jar" .
}

unpack 'ai.djl.huggingface.tokenizers-*.jar' "native/lib/$kind/cpu/*" 'native/lib/*/'
# Of JCuda, Weft uses the driver's part alone. It is there for one kind of machine.
if [ "$kind" = linux-x86_64 ]; then
    unpack 'org.jcuda.jcuda-natives-*.jar' 'lib/libJCudaDriver-*.so' 'lib/*.so'
fi
