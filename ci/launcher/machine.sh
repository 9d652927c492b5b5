# The pretend machines of ci/launcher-test: a Debian 13 with root and none of what Probelab needs,
# which a case then changes. Nothing outside the temporary directory is seen or touched.
# shellcheck shell=sh disable=SC2016,SC2154  # stub bodies expand when they run; $temporary is the caller's

# Real commands that the launcher may use; everything else is a stub or does not exist.
REAL='sh env sed grep cat cut find head tail tr awk date mkdir mv rm ln cp cmp readlink wc sleep chmod
basename dirname touch sha256sum flock kill true'

# Copies a machine that was made before: making one takes hundreds of commands.
new_machine() {
    FAKE_LLVM=22.1.8
    if ! [ -d "$temporary/bare.template" ]; then
        make_machine
        mv "$machine" "$temporary/bare.template"
        cp -a "$temporary/bare.template" "$temporary/with-packages.template"
        machine=$temporary/with-packages.template
        provide_packages
        : >"$machine/calls"
    fi
    machine=$temporary/$1
    cp -a "$temporary/bare.template" "$machine"
}

has_packages() {
    rm -r "$machine"
    cp -a "$temporary/with-packages.template" "$machine"
}

make_machine() {
    machine=$temporary/bare
    mkdir -p "$machine/bin" "$machine/home" "$machine/root/usr/include" "$machine/clone/crates/probelab" "$machine/clone/labs"
    : >"$machine/transcript"
    for command in $REAL; do
        file=$(command -v "$command")
        # Those that are built into sh have no file, and need none.
        case $file in /*) ln -s "$file" "$machine/bin/" ;; esac
    done
    cp -R "$repo/lab" "$repo/setup" "$machine/clone/"
    : >"$machine/clone/Cargo.toml"
    : >"$machine/clone/crates/probelab/main.rs"
    : >"$machine/clone/labs/extra.rs"
    # Versions of our own, so that raising the real ones changes no snapshot.
    cat >"$machine/clone/versions.env" <<'END'
# A comment.
BPF_NIGHTLY=nightly-2026-01-01
BPF_LLVM=22.1.8
BPF_LINKER=0.13.0
CLANG=22
GO=1.26.0
STATICCHECK=v0.8.0
MDBOOK=0.5.0
END
    echo 'channel = "1.99.0"' >"$machine/clone/rust-toolchain.toml"
    echo 'Linux version 6.12.0' >"$machine/proc-version"
    os_release debian 13 'Debian GNU/Linux 13 (trixie)'

    stub uname 'case $1 in -s) echo Linux ;; -m) echo x86_64 ;; esac'
    stub id 'case $1 in -u) echo 0 ;; -un) echo root ;; esac'
    stub sudo 'case $1 in -n | -v) exit 0 ;; esac; exec "$@"'
    stub df 'echo header; echo "/dev/x 9 9 99999999 9% /"'
    stub dpkg ':'
    stub apt-cache 'echo "  Candidate: 1"'
    stub_logged curl 'while [ "$1" != -o ]; do shift; done
        case $2 in
            *.sha256) sha256sum "${2%.sha256}" >"$2" ;;
            *) echo "#!/bin/sh" >"$2"; echo "provide_tool rustup" >>"$2" ;;
        esac'
    stub_logged apt-get "$FAKE_APT"
    stub provide_tool "$FAKE_TOOLS"
    {
        echo 'echo "go $*" >>"$machine/calls"'
        fake_go 1.24.4
    } >"$machine/fake-go"
    echo "$FAKE_RUSTUP" >"$machine/fake-rustup"
    echo "$FAKE_CARGO" >"$machine/fake-cargo"
}

# stub NAME BODY: a command of the machine. stub_logged also notes each call: for those that could
# change a real machine.
stub() {
    printf '#!/bin/sh\n%s\n' "$2" >"$machine/bin/$1.new"
    chmod +x "$machine/bin/$1.new"
    mv "$machine/bin/$1.new" "$machine/bin/$1"
}

stub_logged() {
    stub "$1" 'echo "'"$1"' $*" >>"$machine/calls"
'"$2"
}

forget() {
    rm "$machine/bin/$1"
}

user() {
    stub id 'case $1 in -u) echo 1000 ;; -un) echo learner ;; esac'
}

os_release() {
    printf 'ID=%s\nVERSION_ID="%s"\nPRETTY_NAME="%s"\n' "$1" "$2" "$3" >"$machine/os-release"
}

# Gives a file a time that is surely later than the last build.
later() {
    sleep 0.02
    touch "$1"
}

on_machine() {
    (
        cd "$machine/clone" || exit 9
        # A background shell leaves SIGINT ignored, and then no test could interrupt anything.
        env -i --default-signal=INT PATH="$machine/bin" HOME="$machine/home" FAKE_LLVM="$FAKE_LLVM" machine="$machine" \
            PROBELAB_OS_RELEASE="$machine/os-release" PROBELAB_PROC_VERSION="$machine/proc-version" \
            PROBELAB_SYSROOT="$machine/root" "$@"
    )
}

provide_packages() {
    for package in git ca-certificates gcc libc6-dev make pkg-config musl-tools libbpf-dev libelf-dev zlib1g-dev \
        clang-22 bubblewrap qemu-system-x86 debian-archive-keyring golang-go rustup; do
        on_machine provide_tool "$package"
    done
}

has_rust() {
    on_machine rustup toolchain install 1.99.0
    on_machine rustup toolchain install nightly-2026-01-01
}

has_everything() {
    has_packages
    has_rust
    on_machine ./lab setup --yes >/dev/null 2>&1
}

# What apt-get leaves behind: each package it was asked for.
FAKE_APT='case "$*" in *--download-only*) exit 0 ;; esac
installing=0
for word in "$@"; do
    [ "$installing" = 0 ] || provide_tool "$word"
    [ "$word" != install ] || installing=1
done'

# A go command of the given version, which fetches the pinned one into a module cache when told to.
fake_go() {
    cat <<END
cache=\$machine/home/go/pkg/mod
fetch() {
    to=\$cache/golang.org/toolchain@v0.0.1-go1.26.0.linux-amd64
    mkdir -p "\$to/bin" "\$to/pkg/tool/linux_amd64" "\$to/src"
    : >"\$to/src/_go.mod"
    printf '#!/bin/sh\n[ "\$1" != install ] || { mkdir -p "\$GOBIN"; printf "#!/bin/sh\\\\n" >"\$GOBIN/staticcheck"; chmod +x "\$GOBIN/staticcheck"; }\n' >"\$to/bin/go"
}
case \$1 in
    env) sed -i '\$d' "\$machine/calls"; printf 'go$1\n/usr/lib/go\n%s\n' "\$cache" ;;
    version) fetch; chmod +x "\$to/bin/go" ;;
    mod) fetch ;;
esac
END
}

# rustup: toolchains that are no more than the files the set-up looks for.
FAKE_RUSTUP='echo "rustup $*" >>"$machine/calls"
if [ "$1" = target ]; then
    for target in "$5" "$6"; do
        mkdir -p "$HOME/.rustup/toolchains/$4-x86_64-unknown-linux-gnu/lib/rustlib/$target/lib"
    done
    exit
fi
to=$HOME/.rustup/toolchains/$3-x86_64-unknown-linux-gnu
mkdir -p "$to/bin" "$to/lib/rustlib/x86_64-unknown-linux-musl/lib" "$to/lib/rustlib/src/rust/library/core"
: >"$to/lib/rustlib/src/rust/library/core/Cargo.toml"
: >"$to/lib/libLLVM.so.22.1-rust"
for command in cargo cargo-clippy rustfmt; do ln -sf /bin/true "$to/bin/$command"; done'

# cargo: `install` makes a tool that tells its version, `build` a program that shows what it was given.
FAKE_CARGO='echo "cargo $*" >>"$machine/calls"
if [ "$1" = install ]; then
    while [ "$1" != --root ]; do
        case $1 in --version) version=$2 ;; bpf-linker | mdbook) crate=$1 ;; esac
        shift
    done
    mkdir -p "$2/bin"
    case $crate in mdbook) version=v$version ;; esac
    printf "#!/bin/sh\ncase \$1 in --version) echo %s %s ;; *) echo LLVM version %s-rust ;; esac\n" \
        "$crate" "$version" "$FAKE_LLVM" >"$2/bin/$crate"
    chmod +x "$2/bin/$crate"
else
    out=target/x86_64-unknown-linux-musl/release
    mkdir -p "$out"
    printf "#!/bin/sh\necho \"the program: \$* (root \$PROBELAB_ROOT, go \$PROBELAB_GO)\"\n" >"$out/lab"
    chmod +x "$out/lab"
fi'

# provide_tool PACKAGE: what the package would put on the machine.
FAKE_TOOLS='make_tool() {
    { echo "#!/bin/sh"; cat; } >"$machine/bin/$1.new"
    chmod +x "$machine/bin/$1.new"; mv "$machine/bin/$1.new" "$machine/bin/$1"
}
headers=$machine/root/usr/include
certificates=$machine/root/etc/ssl/certs
keyrings=$machine/root/usr/share/keyrings
case $1 in
    libc6-dev) : >"$headers/stdio.h" ;;
    libbpf-dev) mkdir -p "$headers/bpf"; : >"$headers/bpf/bpf_helpers.h" ;;
    libelf-dev) : >"$headers/libelf.h" ;;
    zlib1g-dev) : >"$headers/zlib.h" ;;
    ca-certificates) mkdir -p "$certificates"; : >"$certificates/ca-certificates.crt" ;;
    musl-tools) make_tool musl-gcc </dev/null ;;
    libxml2-utils) make_tool xmllint </dev/null ;;
    bubblewrap) make_tool bwrap </dev/null ;;
    qemu-system-x86) make_tool qemu-system-x86_64 </dev/null ;;
    debian-archive-keyring) mkdir -p "$keyrings"; : >"$keyrings/debian-archive-keyring.gpg" ;;
    gcc-aarch64-linux-gnu) make_tool aarch64-linux-gnu-gcc </dev/null ;;
    libc6-dev-arm64-cross) mkdir -p "$machine/root/usr/aarch64-linux-gnu/include"; : >"$machine/root/usr/aarch64-linux-gnu/include/stdio.h" ;;
    qemu-system-arm) make_tool qemu-system-aarch64 </dev/null ;;
    golang-go) make_tool go <"$machine/fake-go" ;;
    rustup) make_tool rustup <"$machine/fake-rustup"; make_tool cargo <"$machine/fake-cargo" ;;
    *) make_tool "$1" </dev/null ;;
esac'
