#!/bin/sh
# Prints the folder of a JDK for Weft, and gets one where there is none:
#   jdk.sh javac   JDK 25, which builds Weft (the default)
#   jdk.sh java    Java 25 or newer, which runs it
# It looks at WEFT_JAVA_HOME alone if that is set; else at JAVA_HOME, PATH, the usual folders and its own cache. Where it
# finds none it installs the distribution's package, if it may, and else downloads Temurin into the cache,
# ${XDG_CACHE_HOME:-~/.cache}/weft/jdk. In a terminal it asks first.
#   WEFT_JDK_URL   a mirror: the folder that holds Temurin's archive of the version below
set -u

version_needed=25
package=openjdk-25-jdk-headless

# The checksums are those of github.com/adoptium/containers, which verifies Adoptium's signature as well.
temurin=25.0.4.1_1
temurin_url=https://github.com/adoptium/temurin25-binaries/releases/download/jdk-25.0.4.1%2B1
sha256_x64=dbb698396d478e7fa2b1e50f4103324b2a99b90569ee27c33f2261f9215cf41e
sha256_aarch64=69df11a02cfa3ef7d7ca645e03edce6778ec090e100f6ae2b42097865730ac52

say() {
    printf 'weft: %s\n' "$@" >&2
}

fail() {
    say "$@"
    exit 1
}

# The feature version of the JDK in folder $1, such as 25. Its release file says so without starting a JVM.
java_version() {
    version=
    if [ -r "$1/release" ]; then
        version=$(sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$1/release")
    fi
    if [ -z "$version" ]; then
        version=$("$1/bin/java" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p')
    fi
    echo "${version:-0}"
}

# True if folder $1 has what was asked for. Weft builds with 25 only: the incubating Vector API may change with each
# release.
is_usable() {
    [ -n "$1" ] && [ -x "$1/bin/java" ] && [ -x "$1/bin/$program" ] || return 1
    if [ "$program" = javac ]; then
        [ "$(java_version "$1")" -eq "$version_needed" ]
    else
        [ "$(java_version "$1")" -ge "$version_needed" ]
    fi
}

# The folder of the java on PATH, which may be a link to it.
java_home_on_path() {
    java=$(command -v java) || return 0
    java=$(readlink -f "$java" 2>/dev/null) || return 0
    dirname "$(dirname "$java")"
}

# Sets java_home to the first folder that has what was asked for.
find_jdk() {
    for java_home in "${JAVA_HOME:-}" "$(java_home_on_path)" \
        /usr/lib/jvm/* "${HOME:-}"/.sdkman/candidates/java/* /Library/Java/JavaVirtualMachines/*/Contents/Home \
        /opt/java/* "$cache"/*; do
        if is_usable "$java_home"; then
            return 0
        fi
    done
    return 1
}

ask() {
    printf 'weft: get %s? [Y/n] ' "$offer" >&2
    read -r answer || answer=no
    case $answer in
        '' | [Yy]*) ;;
        *) fail "$install_yourself" ;;
    esac
}

may_install_packages() {
    [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null
}

# False if the distribution has no such package, as older ones do not, or it cannot be installed.
install_package() {
    apt-get -qq update >&2
    apt-cache show "$package" >/dev/null 2>&1 || return 1
    say "installing the package $package"
    if ! output=$(DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "$package" 2>&1); then
        say "the package cannot be installed:" "$output"
        return 1
    fi
}

# Writes what is at the address $1 to the file $2.
download() {
    if command -v curl >/dev/null; then
        curl -fsSL --retry 3 -o "$2" "$1" >&2
    elif command -v wget >/dev/null; then
        wget -q -O "$2" "$1" >&2
    else
        fail "needs curl or wget to download a JDK. Install one of them." "Or: $install_yourself"
    fi
}

sha256() {
    if command -v sha256sum >/dev/null; then
        sha256sum "$1"
    else
        shasum -a 256 "$1"
    fi | cut -d ' ' -f 1
}

# Sets java_home to Temurin in the cache.
download_temurin() {
    case $(uname -s)-$(uname -m) in
        Linux-x86_64) kind=x64 sha256=$sha256_x64 ;;
        Linux-aarch64 | Linux-arm64) kind=aarch64 sha256=$sha256_aarch64 ;;
        *) fail "has no JDK for $(uname -s) on $(uname -m) to download." "$install_yourself" ;;
    esac
    address=${WEFT_JDK_URL:-$temurin_url}/OpenJDK25U-jdk_${kind}_linux_hotspot_$temurin.tar.gz
    java_home=$cache/temurin-$temurin
    if ! { mkdir -p "$cache" && part=$(mktemp -d "$cache/.part.XXXXXX"); }; then
        fail "cannot write to $cache." "Set XDG_CACHE_HOME to a folder for caches. Or: $install_yourself"
    fi
    trap 'rm -rf "$part"' EXIT
    trap 'exit 130' HUP INT TERM

    say "downloading $address"
    download "$address" "$part/archive" || fail "cannot download it." \
        "Set https_proxy if this machine needs a proxy, or WEFT_JDK_URL to a mirror of that folder." \
        "Or: $install_yourself"
    found=$(sha256 "$part/archive")
    [ "$found" = "$sha256" ] || fail "what was downloaded is not Temurin $temurin and was deleted:" \
        "its SHA-256 is $found, not $sha256." \
        "Try again; with WEFT_JDK_URL set, ask whoever runs the mirror. Or: $install_yourself"
    mkdir "$part/jdk"
    tar -xzf "$part/archive" -C "$part/jdk" --strip-components 1 || fail \
        "cannot unpack the archive in $cache, which needs tar, gzip and 400 MB." \
        "Make room, or set XDG_CACHE_HOME to a folder on another disk. Or: $install_yourself"
    "$part/jdk/bin/java" -version >/dev/null 2>&1 || fail "Temurin $temurin does not start here; it needs glibc." \
        "$install_yourself"
    rm -rf "$java_home"
    mv "$part/jdk" "$java_home" || fail "cannot write to $java_home."
    say "JDK $java_home"
}

program=${1:-javac}
case $program in
    javac) needed="JDK $version_needed" ;;
    java) needed="JDK $version_needed or newer" ;;
    *) fail "jdk.sh [java | javac], not $1" ;;
esac
cache=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/weft/jdk
install_yourself="install a JDK $version_needed, from https://adoptium.net or with: sdk install java 25-tem, and set WEFT_JAVA_HOME to its folder."

if [ -n "${WEFT_JAVA_HOME:-}" ]; then
    java_home=$WEFT_JAVA_HOME
    is_usable "$java_home" || fail "WEFT_JAVA_HOME is $java_home, which has no $needed."
elif ! find_jdk; then
    say "no $needed in JAVA_HOME, PATH, the usual folders or $cache"
    offer="Temurin $temurin into $cache (about 140 MB)"
    may_install_packages && offer="the package $package, or where there is none $offer"
    if [ -t 0 ] && [ -t 2 ]; then
        ask
    else
        say "getting $offer"
    fi
    if ! { may_install_packages && install_package && find_jdk; }; then
        download_temurin
    fi
fi
echo "$java_home"
