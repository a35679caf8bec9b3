#!/bin/sh
# Puts JRE, application and native parts for Linux on x86-64 into one archive that needs nothing but a driver:
#   build.sh <folder of the Quarkus application> <output folder>
# The demo model is a file of its own beside it.
set -eu
app=$1
out=$2
here=$(cd "$(dirname "$0")" && pwd)
work=$out/portable
bundle=$work/weft

jdk=$("$here/../jdk.sh" javac)

rm -rf "$work"
mkdir -p "$bundle"
# What the application's jars need, as jdeps and its start tell; zip-0, because xz packs plain classes better.
"$jdk/bin/jlink" --output "$bundle/jre" --strip-debug --no-header-files --no-man-pages --compress zip-0 \
    --add-modules java.base,java.logging,java.management,java.naming,java.net.http,java.security.jgss,java.sql,java.xml,java.compiler,java.rmi,java.transaction.xa,java.instrument,jdk.unsupported,jdk.management,jdk.net,jdk.zipfs,jdk.incubator.vector,jdk.jfr,jdk.naming.dns
cp -R "$app" "$bundle/app"

# Jars uncompressed, without what another system or another device would need.
repack() {
    jar=$1
    shift
    unpacked=$work/jar
    rm -rf "$unpacked"
    mkdir "$unpacked"
    (cd "$unpacked" && "$jdk/bin/jar" -x -f "$jar" && rm -rf $* && "$jdk/bin/jar" -c -0 -M -f "$jar.new" .)
    mv "$jar.new" "$jar"
}
find "$bundle/app" -name '*.jar' | while read -r jar; do
    case $jar in
        */quarkus-run.jar) ;;
        *tokenizers*) repack "$jar" native/lib/linux-aarch64 native/lib/osx-aarch64 native/lib/win-x86_64 ;;
        *jcuda-natives*) repack "$jar" lib/libJNvPTXCompiler-*-linux-x86_64.so lib/libJNvJitLink-*-linux-x86_64.so ;;
        *app/weft-*)
            mkdir -p "$work/demo"
            (cd "$work/demo" && "$jdk/bin/jar" -x -f "$jar" models/demo)
            repack "$jar" models/demo
            ;;
        *) repack "$jar" nothing ;;
    esac
done
cp "$here/weft" "$bundle/weft"
chmod +x "$bundle/weft"
rm -rf "$work/jar"

tar -C "$work" -c weft | xz -T0 -6 >"$out/weft-portable.tar.xz"
tar -C "$work/demo/models" -czf "$out/weft-demo-model.tar.gz" demo
ls -l "$out/weft-portable.tar.xz" "$out/weft-demo-model.tar.gz"
