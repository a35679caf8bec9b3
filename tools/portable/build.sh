#!/bin/sh
# Puts JRE, application and native parts for Linux on x86-64 into one archive that needs nothing but a driver:
#   build.sh <folder of the Quarkus application> <output folder> <timestamp of all files>
# The demo model is a file of its own beside it.
set -eu
app=$(cd "$1" && pwd)
out=$(cd "$2" && pwd)
timestamp=$3
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

mkdir -p "$work/demo"
(cd "$work/demo" && "$jdk/bin/jar" -x -f "$bundle"/app/app/weft-*.jar models/demo)
# Jars uncompressed, without what another system or another device would need.
"$jdk/bin/java" "$here/Repack.java" "$bundle/app" "$timestamp" models/demo/ native/lib/linux-aarch64/ \
    native/lib/osx-aarch64/ native/lib/win-x86_64/ lib/libJNvPTXCompiler- lib/libJNvJitLink-
cp "$here/weft" "$here/../jvm.options" "$bundle/"
chmod +x "$bundle/weft"

"$here/../release/pack.sh" "$bundle" "$out/weft-portable.tar.xz" "$timestamp"
"$here/../release/pack.sh" "$work/demo/models/demo" "$out/weft-demo-model.tar.gz" "$timestamp"
ls -l "$out/weft-portable.tar.xz" "$out/weft-demo-model.tar.gz"
