# What Probelab needs, how much room each takes, and why. One line each: id|group|MB|why.
# Group `run` is for every command, `book` for `./lab book` (and `./lab test`), `test` for `./lab test` only.
# "The other" architecture is arm64 on x86-64, and the other way round. The sizes are of
# what is there afterwards (packages with all that they pull in, downloaded sources), as measured on a
# bare Debian 13 on x86_64, rounded.
# shellcheck shell=sh disable=SC2154  # variables of the other files of setup/

needs_table() {
    cat <<'END'
git|run|100|to fetch dependencies and compare trees
ca-certificates|run|1|to trust the servers that the rest comes from
compiler|run|200|gcc, make and pkg-config, for the C parts of dependencies
musl|run|5|the C library that the static program is linked with
libbpf|run|11|libbpf, libelf and zlib headers, for the labs written in C
clang|run|330|compiles the labs written in C for BPF
bubblewrap|run|1|the sandbox that learner code is compiled in
qemu|run|85|virtual machines to check in, without root and on other kernels
debian-keys|run|1|to know Debian's kernels for what they are
go|run|250|any Go, to fetch the pinned one with
rustup|run|10|installs the Rust toolchains
rust-stable|run|850|the pinned stable Rust, with clippy, rustfmt and the musl target
rust-nightly|run|660|the pinned nightly with rust-src, for code that runs in the kernel
bpf-linker|run|60|links BPF programs; built here in about a minute
go-pinned|run|310|the pinned Go toolchain
shellcheck|test|35|checks the shell scripts
xmllint|test|1|checks the reports in JUnit XML
vagrant|test|87|checks the Vagrantfile
mdbook|book|150|builds the book; built here in some minutes
staticcheck|test|50|checks the Go code
cross-compiler|test|150|a C compiler for the other architecture
rust-cross|test|320|Rust's libraries for the other architecture
qemu-cross|test|45|virtual machines of the other architecture
END
}

# have_… are true when the thing is there.
have() {
    case $1 in
        git) command -v git >/dev/null ;;
        ca-certificates) [ -f "$SYSROOT/etc/ssl/certs/ca-certificates.crt" ] || [ -f "${SSL_CERT_FILE-}" ] ;;
        compiler)
            command -v gcc >/dev/null && command -v make >/dev/null &&
                command -v pkg-config >/dev/null && [ -f "$SYSROOT/usr/include/stdio.h" ]
            ;;
        musl) command -v musl-gcc >/dev/null ;;
        libbpf)
            [ -f "$SYSROOT/usr/include/bpf/bpf_helpers.h" ] && [ -f "$SYSROOT/usr/include/libelf.h" ] &&
                [ -f "$SYSROOT/usr/include/zlib.h" ]
            ;;
        clang) find_clang && [ -n "$CLANG_BIN" ] ;;
        bubblewrap) command -v bwrap >/dev/null ;;
        qemu) command -v "qemu-system-$ARCH" >/dev/null ;;
        debian-keys) [ -f "$SYSROOT/usr/share/keyrings/debian-archive-keyring.gpg" ] ;;
        go) find_go && [ -n "$ANY_GO$GO_BIN" ] ;;
        rustup) find_rustup && [ -n "$RUSTUP_BIN" ] ;;
        rust-stable)
            [ -x "$STABLE_DIR/bin/cargo" ] && [ -x "$STABLE_DIR/bin/cargo-clippy" ] &&
                [ -x "$STABLE_DIR/bin/rustfmt" ] && [ -d "$STABLE_DIR/lib/rustlib/$ARCH-unknown-linux-musl/lib" ]
            ;;
        rust-nightly) [ -x "$NIGHTLY_DIR/bin/cargo" ] && [ -f "$NIGHTLY_DIR/lib/rustlib/src/rust/library/core/Cargo.toml" ] ;;
        bpf-linker) find_bpf_linker && [ -n "$BPF_LINKER_BIN" ] ;;
        go-pinned) [ -n "$GO_BIN" ] ;;
        shellcheck) command -v shellcheck >/dev/null ;;
        xmllint) command -v xmllint >/dev/null ;;
        cross-compiler)
            command -v "$OTHER_ARCH-linux-gnu-gcc" >/dev/null &&
                [ -f "$SYSROOT/usr/$OTHER_ARCH-linux-gnu/include/stdio.h" ]
            ;;
        rust-cross)
            [ -d "$STABLE_DIR/lib/rustlib/$OTHER_ARCH-unknown-linux-musl/lib" ] &&
                [ -d "$STABLE_DIR/lib/rustlib/$OTHER_ARCH-unknown-linux-gnu/lib" ]
            ;;
        qemu-cross) command -v "qemu-system-$OTHER_ARCH" >/dev/null ;;
        # Debian has had no package since 13; without it that one test is skipped.
        vagrant) command -v vagrant >/dev/null || ! apt_offers vagrant ;;
        mdbook) find_mdbook && [ -n "$MDBOOK_BIN" ] ;;
        staticcheck) find_staticcheck && [ -n "$STATICCHECK_BIN" ] ;;
    esac
}

# The distribution packages behind an id; nothing for what comes from elsewhere.
packages_of() {
    case $1 in
        git | ca-certificates | bubblewrap | shellcheck | vagrant) echo "$1" ;;
        compiler) echo "gcc libc6-dev make pkg-config" ;;
        musl) echo musl-tools ;;
        libbpf) echo "libbpf-dev libelf-dev zlib1g-dev" ;;
        qemu) qemu_package "$ARCH" ;;
        qemu-cross) qemu_package "$OTHER_ARCH" ;;
        cross-compiler)
            case $OTHER_ARCH in
                aarch64) echo "gcc-aarch64-linux-gnu libc6-dev-arm64-cross" ;;
                *) echo "gcc-x86-64-linux-gnu libc6-dev-amd64-cross" ;;
            esac
            ;;
        debian-keys) echo debian-archive-keyring ;;
        xmllint) echo libxml2-utils ;;
        clang) if apt_offers "clang-$CLANG"; then echo "clang-$CLANG"; else echo clang; fi ;;
        go) echo golang-go ;;
        # Debian 12 has no such package; install_rustup sees to that.
        rustup) if apt_offers rustup; then echo rustup; else command -v curl >/dev/null || echo curl; fi ;;
    esac
}

qemu_package() {
    case $1 in
        aarch64) echo qemu-system-arm ;;
        *) echo qemu-system-x86 ;;
    esac
}

# True when what is wanted needs things of this group.
wants() {
    case $1 in
        run) true ;;
        book) [ "$want" != run ] ;;
        *) [ "$want" = all ] ;;
    esac
}

# Sets `missing` to the ids that are not there, in the order in which they are installed.
find_missing() {
    missing=
    while IFS='|' read -r id group _; do
        if wants "$group"; then
            have "$id" || missing="$missing $id"
        fi
    done <<END
$(needs_table)
END
}

missing_packages() {
    all=
    for id in $missing; do
        for package in $(packages_of "$id"); do
            all="$all $package"
        done
    done
    echo "${all# }"
}

list_missing() {
    [ -n "$missing" ] || return 0
    say "Probelab needs what is not on this machine yet:" ""
    total=0
    while IFS='|' read -r id group size why; do
        case " $missing " in
            *" $id "*) ;;
            *) continue ;;
        esac
        case $group in
            book) why="$why (for ./lab book)" ;;
            test) why="$why (for ./lab test)" ;;
        esac
        printf '  %-16s %5s MB  %s\n' "$id" "$size" "$why" >&2
        total=$((total + size))
    done <<END
$(needs_table)
END
    say "" "About $total MB on disk in all. This needs the network, once."
    packages=$(missing_packages)
    [ -z "$packages" ] || say "From the distribution: $packages"
    case $missing in
        *rust* | *bpf-linker* | *pinned* | *mdbook* | *staticcheck*)
            say "Into $RUSTUP_HOME_DIR, $CARGO_HOME_DIR, Go's module cache and $CACHE: the rest. No start-up file of your shell is changed."
            ;;
    esac
}
