# Sourced by test.sh, demo.sh and .ci/run: install_dependencies installs on Debian and Ubuntu what is
# missing, and elsewhere says what is needed.

is_installed() {
    dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q 'ok installed'
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo "$@"
    else
        echo "Not root and no sudo: run this as root, then again as you: $*" >&2
        return 1
    fi
}

# install_packages NAME...: those that are not installed yet.
install_packages() {
    missing=
    for package in "$@"; do
        is_installed "$package" || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    echo "Installing:$missing"
    as_root apt-get update -qq || return 1
    # shellcheck disable=SC2086
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends $missing >/dev/null
}

# Debian 12 keeps Boost 1.81 under versioned names beside its 1.74; later releases have a newer default.
boost_packages() {
    default=$(apt-cache policy libboost-dev 2>/dev/null | sed -n 's/^ *Candidate: *\([0-9.]*\).*/\1/p')
    if is_installed libboost1.81-dev ||
        { [ -n "$default" ] && dpkg --compare-versions "$default" lt 1.81; }; then
        echo libboost1.81-dev libboost-url1.81-dev
    else
        echo libboost-dev libboost-url-dev
    fi
}

# install_dependencies: the compiler, the libraries and GoogleTest.
install_dependencies() {
    if ! command -v apt-get >/dev/null 2>&1; then
        cat <<'TEXT'
No apt here, so nothing is installed for you. Needed: a C++20 compiler (g++ 12, clang 16 or newer),
CMake 3.25, Ninja, Boost 1.81 with Boost.URL, OpenSSL 3, nlohmann_json 3.11, toml++ 3.3, GoogleTest.
TEXT
        return 0
    fi
    install_packages g++ cmake ninja-build ccache libssl-dev nlohmann-json3-dev libtomlplusplus-dev \
        libgtest-dev libgmock-dev || return 1
    # A fresh machine has no package lists before the first update, so ask for names only now.
    [ -n "$(apt-cache policy libboost-dev 2>/dev/null | grep Candidate)" ] || as_root apt-get update -qq
    # shellcheck disable=SC2046
    install_packages $(boost_packages)
}

# lacks PROGRAM: no such program, not even among those for administrators.
lacks() {
    ! (PATH="$PATH:/usr/sbin" && command -v "$1" >/dev/null 2>&1)
}

# install_peers: other people's servers, for the tests that talk to them; without them those tests are
# skipped. nginx's package starts a web server where services run: there it is left to you.
install_peers() {
    command -v apt-get >/dev/null 2>&1 || return 0
    peers=
    lacks openssl && peers="$peers openssl"
    lacks tinyproxy && peers="$peers tinyproxy-bin"
    if lacks nginx; then
        if [ -d /run/systemd/system ] && [ ! -x /usr/sbin/policy-rc.d ]; then
            echo "Tests against nginx will be skipped: for them, apt install nginx-light (a service)."
        else
            peers="$peers nginx-light"
        fi
    fi
    # shellcheck disable=SC2086
    install_packages $peers || echo "Tests against these will be skipped:$peers"
}

# build_root: where everything is built; the source folder may be read-only.
build_root() {
    if [ -n "${LLMPROC_BUILD_DIR:-}" ]; then
        echo "$LLMPROC_BUILD_DIR"
    elif [ -n "${XDG_CACHE_HOME:-}" ]; then
        echo "$XDG_CACHE_HOME/llmproc"
    elif [ -n "${HOME:-}" ] && mkdir -p "$HOME/.cache/llmproc" 2>/dev/null; then
        echo "$HOME/.cache/llmproc"
    else
        echo "${TMPDIR:-/tmp}/llmproc-$(id -u)"
    fi
}

# prepare_build: sets build, jobs, test_jobs and ccache's folder.
prepare_build() {
    build=$(build_root)
    mkdir -p "$build" || {
        echo "Cannot write to $build; name another folder in LLMPROC_BUILD_DIR." >&2
        return 1
    }
    build=$(cd "$build" && pwd)
    jobs=${LLMPROC_JOBS:-$(nproc 2>/dev/null || echo 2)}
    # Many tests wait more than they work.
    test_jobs=$((jobs * 2))
    CCACHE_DIR=${CCACHE_DIR:-$build/ccache}
    # Absolute paths: relative ones differ between this tree and those of the package's consumers,
    # which then would compile the library anew.
    CCACHE_NOHASHDIR=1
    export CCACHE_DIR CCACHE_NOHASHDIR
}
