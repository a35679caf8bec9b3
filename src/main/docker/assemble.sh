#!/bin/sh
# Puts together what an image holds, from a finished build: the launcher, the app, a Java runtime of the modules that
# Weft needs, and the native libraries, unpacked.
#   assemble.sh BUILD TARGET
set -eu

build=$1
target=$2
modules=java.base,java.compiler,java.instrument,java.logging,java.management,java.naming,java.net.http,java.rmi,java.security.jgss,java.sql,java.transaction.xa,java.xml,jdk.incubator.vector,jdk.jfr,jdk.management,jdk.naming.dns,jdk.net,jdk.unsupported,jdk.zipfs

mkdir -p "$target/target" "$target/tools"
jlink --add-modules "$modules" --strip-java-debug-attributes --no-header-files --no-man-pages --compress zip-6 --output "$target/java"
cp "$build/weft" "$build/LICENSE" "$target/"
cp "$build/tools/jdk.sh" "$build/tools/jvm.options" "$target/tools/"
cp -r "$build/target/quarkus-app" "$target/target/"
"$(dirname "$0")/unpack-natives.sh" "$target/target/quarkus-app" "$target/native"
# Readable by whatever user a platform runs it as.
chmod -R a+rX "$target"
