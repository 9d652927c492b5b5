# Where the tools are: each find_… sets its variable to an absolute path, or to nothing. What is
# already on the machine is used when it fits. Versions come from versions.env.
# shellcheck shell=sh disable=SC2034,SC2154  # variables of the other files of setup/

locate_homes() {
    [ -d "$HOME" ] || stop "HOME is '$HOME', which is not a directory. Set HOME to a directory of yours and try again."
    CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/probelab
    CARGO_HOME_DIR=${CARGO_HOME:-$HOME/.cargo}
    RUSTUP_HOME_DIR=${RUSTUP_HOME:-$HOME/.rustup}
    HOST=$ARCH-unknown-linux-gnu
    STABLE_DIR=$RUSTUP_HOME_DIR/toolchains/$STABLE-$HOST
    NIGHTLY_DIR=$RUSTUP_HOME_DIR/toolchains/$BPF_NIGHTLY-$HOST
}

make_state_dir() {
    if ! mkdir -p "$STATE" 2>/dev/null || ! [ -w "$STATE" ]; then
        stop "$PROBELAB_ROOT/target is not writable for you ($(id -un)). If an earlier run as root made it, run: sudo chown -R $(id -un) $PROBELAB_ROOT/target"
    fi
    [ -f "$LOG" ] || : >"$LOG"
}

# first_executable PATH…: prints the first that can be run.
first_executable() {
    for file in "$@"; do
        if [ -n "$file" ] && [ -x "$file" ] && [ -f "$file" ]; then
            printf '%s\n' "$file"
            return 0
        fi
    done
}

find_rustup() {
    RUSTUP_BIN=$(first_executable "$(command -v rustup || :)" "$CARGO_HOME_DIR/bin/rustup")
    # The proxies lie beside rustup, in the distribution's package too.
    CARGO_BIN=${RUSTUP_BIN:+${RUSTUP_BIN%/*}/cargo}
}

# A bpf-linker fits when it is the pinned version and its LLVM is exactly the nightly's: LLVM reads
# neither newer bitcode nor, always, bitcode of its own patch releases.
find_bpf_linker() {
    OUR_BPF_LINKER=$CACHE/bpf-linker-$BPF_LINKER-$BPF_NIGHTLY/bin/bpf-linker
    BPF_LINKER_BIN=
    for file in "$OUR_BPF_LINKER" "$(command -v bpf-linker || :)" "$CARGO_HOME_DIR/bin/bpf-linker"; do
        if [ -n "$file" ] && [ -x "$file" ] && bpf_linker_fits "$file"; then
            BPF_LINKER_BIN=$file
            return 0
        fi
    done
}

bpf_linker_fits() {
    [ "$("$1" --version 2>/dev/null)" = "bpf-linker $BPF_LINKER" ] || return 1
    # LLVM's own option parser answers --version and exits before anything is linked.
    linker_llvm=$("$1" --llvm-args=--version --output /dev/null /dev/null 2>/dev/null |
        sed -n 's/.*LLVM version \([0-9][0-9.]*[0-9]\).*/\1/p')
    [ "$linker_llvm" = "$BPF_LLVM" ]
}

# Clang compiles the labs that are written in C. The pinned version first; any from 15 on has what
# they need (BTF tags, CO-RE), and is used where apt has no better one.
find_clang() {
    CLANG_BIN=$(command -v "clang-$CLANG" || :)
    [ -z "$CLANG_BIN" ] || return 0
    apt_offers "clang-$CLANG" && return 0
    file=$(command -v clang || :)
    [ -n "$file" ] || return 0
    major=$("$file" -dumpversion 2>/dev/null | sed 's/\..*//')
    [ "${major:-0}" -lt 15 ] 2>/dev/null || CLANG_BIN=$file
}

# GO_BIN is the pinned Go itself, wherever it is; ANY_GO a go command that can fetch it.
find_go() {
    GO_BIN=
    OUR_GO=$CACHE/go-$GO/bin/go
    ANY_GO=$(first_executable "$(command -v go || :)" "$SYSROOT/usr/local/go/bin/go" "$SYSROOT/usr/lib/go/bin/go")
    if [ -x "$OUR_GO" ]; then
        GO_BIN=$OUR_GO
    elif [ -n "$ANY_GO" ]; then
        if go_env GOVERSION GOROOT GOMODCACHE; then
            if [ "$go_version" = "go$GO" ]; then
                GO_BIN=$(first_executable "$go_root/bin/go")
            else
                GO_BIN=$(first_executable "$go_modcache/$GO_MODULE/bin/go")
            fi
        fi
    fi
}

# Reads three settings of ANY_GO in one call.
go_env() {
    GO_MODULE=golang.org/toolchain@v0.0.1-go$GO.linux-$GOARCH
    settings=$(cd / && GOTOOLCHAIN=local GOFLAGS='' "$ANY_GO" env "$@" 2>/dev/null) || return 1
    {
        read -r go_version
        read -r go_root
        read -r go_modcache
    } <<END
$settings
END
}

find_mdbook() {
    OUR_MDBOOK=$CACHE/mdbook-$MDBOOK/bin/mdbook
    MDBOOK_BIN=
    for file in "$OUR_MDBOOK" "$(command -v mdbook || :)"; do
        if [ -n "$file" ] && [ -x "$file" ] && [ "$("$file" --version)" = "mdbook v$MDBOOK" ]; then
            MDBOOK_BIN=$file
            return 0
        fi
    done
}

find_staticcheck() {
    OUR_STATICCHECK=$CACHE/staticcheck-$STATICCHECK/bin/staticcheck
    STATICCHECK_BIN=$(first_executable "$OUR_STATICCHECK")
}

# True when apt knows an installable package of this name.
apt_offers() {
    command -v apt-cache >/dev/null || return 1
    LC_ALL=C apt-cache policy "$1" 2>/dev/null | grep -q '^  Candidate: [^(]'
}
