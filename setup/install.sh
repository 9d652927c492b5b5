# Installs what is missing. Every step can be repeated, and what it makes appears under its final name
# only when it is whole: so an interrupted set-up goes on with the step it was in.
# shellcheck shell=sh disable=SC2034,SC2154  # variables of the other files of setup/

# Two set-ups at once would fight for the same directories.
wait_for_other_setup() {
    command -v flock >/dev/null || return 0
    exec 9>"$STATE/lock"
    if ! flock -n 9; then
        say "Another set-up of this clone is at work; waiting for it to finish …"
        flock 9
    fi
}

install_missing() {
    say "" "Installing; all output goes to $LOG"
    check_room
    installing=1
    packages=$(missing_packages)
    if [ -n "$packages" ]; then
        install_packages
    fi
    for id in $missing; do
        case $id in
            rustup) have rustup || install_rustup ;;
            rust-stable) run_step "Rust $STABLE" install_stable ;;
            rust-cross) run_step "Rust $STABLE for $OTHER_ARCH" install_cross ;;
            rust-nightly) run_step "Rust $BPF_NIGHTLY" install_nightly ;;
            bpf-linker) run_step "bpf-linker $BPF_LINKER" install_bpf_linker ;;
            go-pinned) have go && { have go-pinned || run_step "Go $GO" install_go; } ;;
            mdbook) run_step "mdBook $MDBOOK" install_with_cargo mdbook "$MDBOOK" "${OUR_MDBOOK%/bin/*}" search,serve 0 ;;
            staticcheck) run_step "staticcheck $STATICCHECK" install_staticcheck ;;
        esac
    done
    installing=0
}

# Stops before anything is fetched when the list plainly does not fit.
check_room() {
    free=$(df -Pk "$HOME" | awk 'NR == 2 { print int($4 / 1024) }')
    needed=$((total + 500)) # bpf-linker's and our own build
    if [ "${free:-0}" -lt "$needed" ]; then
        stop "about $needed MB are needed in $HOME, and $free MB are free. Free some space and try again. Nothing was installed."
    fi
}

# The lists first, since what is offered decides what to take; then everything is downloaded before
# the first package is unpacked, so that a network that fails leaves the system as it was.
install_packages() {
    if [ -n "$as_root" ]; then
        say "Running as root, by sudo: apt-get update; apt-get install --no-install-recommends $packages"
        sudo -v || stop "sudo did not allow it. Ask whoever runs this machine to install: $packages. Nothing was installed."
    fi
    run_step "$STEP_LISTS" as_root_apt update
    # The new lists may offer what nobody knew of, or another package for the same.
    find_missing
    packages=$(missing_packages)
    if [ -n "$(dpkg --audit 2>/dev/null)" ]; then
        # shellcheck disable=SC2086  # may be empty
        run_step "finishing an interrupted apt-get" $as_root dpkg --configure -a
    fi
    # shellcheck disable=SC2086  # a list of words
    run_step "$STEP_DOWNLOAD" as_root_apt install --download-only $packages
    # shellcheck disable=SC2086
    run_step "installing packages" as_root_apt install $packages
    case " $missing " in
        *" clang "*) note_other_clang ;;
    esac
}

# Removing something of the learner's to make room is never right.
as_root_apt() {
    verb=$1
    shift
    $as_root env DEBIAN_FRONTEND=noninteractive LC_ALL=C apt-get -q -y --no-remove \
        --no-install-recommends -o DPkg::Lock::Timeout=60 "$verb" "$@"
}

note_other_clang() {
    find_clang
    case $CLANG_BIN in
        */clang) say "  Note: apt has no clang-$CLANG here, so the C labs use $("$CLANG_BIN" -dumpversion); they are tested with $CLANG. The LLVM project's apt repository has clang-$CLANG." ;;
    esac
}

# Where the distribution has no package, rustup's own installer, checked against its published sum.
install_rustup() {
    run_step "rustup" fetch_rustup
    have rustup || stop "rustup is not where it should be ($CARGO_HOME_DIR/bin). The log is $LOG."
}

fetch_rustup() {
    base=${RUSTUP_UPDATE_ROOT:-https://static.rust-lang.org/rustup}/dist/$HOST
    part=$STATE/rustup-init.part
    curl -fsSL --retry 2 -o "$part" "$base/rustup-init" &&
        curl -fsSL --retry 2 -o "$part.sha256" "$base/rustup-init.sha256" &&
        echo "$(cut -d ' ' -f 1 "$part.sha256")  $part" | sha256sum -c - &&
        chmod +x "$part" &&
        mv "$part" "$STATE/rustup-init" &&
        "$STATE/rustup-init" -y --no-modify-path --profile minimal --default-toolchain none &&
        rm -f "$STATE/rustup-init" "$part.sha256"
}

install_stable() {
    find_rustup
    "$RUSTUP_BIN" toolchain install "$STABLE" --no-self-update --profile minimal \
        --component clippy --component rustfmt --target "$ARCH-unknown-linux-musl"
}

install_cross() {
    find_rustup
    "$RUSTUP_BIN" target add --toolchain "$STABLE" "$OTHER_ARCH-unknown-linux-musl" "$OTHER_ARCH-unknown-linux-gnu"
}

install_nightly() {
    find_rustup
    "$RUSTUP_BIN" toolchain install "$BPF_NIGHTLY" --no-self-update --profile minimal --component rust-src
}

# bpf-linker is linked to the libLLVM that the nightly itself brings, so that both are one LLVM by
# construction and no LLVM package is needed. Released binaries are no choice: those of this version
# contain LLVM 23.
install_bpf_linker() {
    major=${BPF_LLVM%%.*}
    prefix=${OUR_BPF_LINKER%/bin/*}
    library=$(echo "$NIGHTLY_DIR"/lib/libLLVM.so."$major"*)
    if [ -f "$library" ]; then
        llvm=$prefix.llvm
        mkdir -p "$llvm/lib" &&
            ln -sf "$library" "$llvm/lib/libLLVM.so" &&
            ln -sf "$library" "$llvm/lib/${library##*/}" || return 1
    elif [ -d "$SYSROOT/usr/lib/llvm-$major/lib" ]; then
        llvm=$SYSROOT/usr/lib/llvm-$major
    else
        echo "error: $NIGHTLY_DIR has no shared libLLVM.so.$major; install llvm-$major-dev and libpolly-$major-dev"
        return 1
    fi
    export LLVM_PREFIX="$llvm"
    install_with_cargo bpf-linker "$BPF_LINKER" "$prefix" "llvm-$major" 3 || return 1
    if ! bpf_linker_fits "$OUR_BPF_LINKER"; then
        echo "error: the LLVM of the bpf-linker that was built is not $BPF_LLVM, which versions.env names for $BPF_NIGHTLY"
        rm -rf "$prefix"
        return 1
    fi
}

# install_with_cargo CRATE VERSION PREFIX FEATURES OPT-LEVEL: without debug information. Optimising
# mdBook would take twice as long as not doing so (189 against 99 CPU seconds);
# bpf-linker is in the loop of every edit.
install_with_cargo() {
    find_rustup
    work=$3.part
    rm -rf "$work"
    RUSTUP_TOOLCHAIN=$STABLE CARGO_TARGET_DIR=$work/target CARGO_PROFILE_RELEASE_DEBUG=0 \
        CARGO_PROFILE_RELEASE_STRIP=symbols CARGO_PROFILE_RELEASE_OPT_LEVEL=$5 \
        "$CARGO_BIN" install "$1" --version "$2" --locked --no-default-features --features "$4" \
        --root "$work" --no-track || return 1
    rm -rf "$work/target" "$3"
    mv "$work" "$3"
}

# From 1.21 on the go command fetches another toolchain by itself. An older one (Debian 12) can fetch
# the same module; then a copy gets what the newer command would have done: the commands made
# executable, and go.mod files (which a module may not nest) given back their name.
install_go() {
    [ "${go_version-}" ] || go_env GOVERSION GOROOT GOMODCACHE || return 1
    case $go_version in
        go1.[0-9] | go1.[0-9].* | go1.1[0-9] | go1.1[0-9].* | go1.20 | go1.20.*)
            (cd / && GOFLAGS='' "$ANY_GO" mod download "$GO_MODULE") || return 1
            part=$CACHE/go-$GO.part
            mkdir -p "$CACHE" && rm -rf "$part" &&
                cp -r "$go_modcache/$GO_MODULE" "$part" &&
                chmod -R u+w "$part" &&
                chmod +x "$part"/bin/* &&
                find "$part/pkg/tool" -type f -exec chmod +x {} + &&
                find "$part" -name _go.mod -execdir mv _go.mod go.mod \; &&
                mv "$part" "$CACHE/go-$GO"
            ;;
        *) (cd / && GOFLAGS='' GOTOOLCHAIN=go$GO "$ANY_GO" version) ;;
    esac
}

install_staticcheck() {
    find_go
    part=$CACHE/staticcheck.part
    rm -rf "$part"
    (cd / && GOTOOLCHAIN=local GOFLAGS='' GOBIN=$part/bin "$GO_BIN" install \
        "honnef.co/go/tools/cmd/staticcheck@$STATICCHECK") || return 1
    rm -rf "$CACHE/staticcheck-$STATICCHECK"
    mv "$part" "$CACHE/staticcheck-$STATICCHECK"
}
