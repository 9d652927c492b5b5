# Set-up: sourced by ./lab (which sets PROBELAB_ROOT, STATE, assume_yes, want) when something may be
# missing. The order is: is this platform one of ours, what is missing, ask, install, remember.
# shellcheck shell=sh

SETUP_DIR=$PROBELAB_ROOT/setup
# shellcheck source=setup/screen.sh
. "$SETUP_DIR/screen.sh"
# shellcheck source=setup/platform.sh
. "$SETUP_DIR/platform.sh"
# shellcheck source=setup/find.sh
. "$SETUP_DIR/find.sh"
# shellcheck source=setup/needs.sh
. "$SETUP_DIR/needs.sh"
# shellcheck source=setup/install.sh
. "$SETUP_DIR/install.sh"
# shellcheck source=setup/build.sh
. "$SETUP_DIR/build.sh"

# Reads versions.env (KEY=VALUE lines, comments) and the stable channel of rust-toolchain.toml.
read_versions() {
    while IFS='=' read -r name value; do
        case $name in
            '' | '#'*) continue ;;
            *[!A-Z0-9_]*) stop "versions.env has a line that is not KEY=VALUE: '$name'. Restore the file with: git checkout versions.env" ;;
        esac
        # Names and values come from a file of this repository, and the name was checked above.
        eval "$name=\$value"
    done <"$PROBELAB_ROOT/versions.env"
    STABLE=$(sed -n 's/^channel *= *"\(.*\)".*/\1/p' "$PROBELAB_ROOT/rust-toolchain.toml")
    for name in BPF_NIGHTLY BPF_LLVM BPF_LINKER CLANG GO STATICCHECK MDBOOK STABLE; do
        eval "value=\${$name-}"
        [ -n "$value" ] || stop "versions.env or rust-toolchain.toml does not set $name; restore the file with git checkout."
    done
}

setup_command() {
    check_only=0
    for argument in "$@"; do
        case $argument in
            --yes) assume_yes=1 ;;
            --all) want=all ;;
            --check) check_only=1 ;;
            -h | --help)
                sed -n '2,/^$/s/^# \{0,1\}//p' "$PROBELAB_ROOT/lab"
                return 0
                ;;
            *)
                say "lab setup: unknown argument '$argument'. It takes --yes, --all and --check."
                exit 2
                ;;
        esac
    done
    if [ "$check_only" = 1 ]; then
        prepare
        list_missing
        [ -z "$missing" ] || exit 3
        say "Nothing is missing."
        return 0
    fi
    setup_all
    program_current || build_program
    say "Set up. Start with: ./lab tour"
}

prepare() {
    check_platform
    read_versions
    locate_homes
    find_missing
}

setup_all() {
    prepare
    make_state_dir
    if [ -n "$missing" ]; then
        wait_for_other_setup
        find_missing
    fi
    if [ -n "$missing" ]; then
        list_missing
        check_can_install
        ask
        trap interrupted INT TERM
        install_missing
        find_missing
        if [ -n "$missing" ]; then
            list_missing
            stop "These are still missing after the set-up. The log is $LOG."
        fi
    fi
    remember
}

# Asks once. Without a terminal nobody can answer, so say what to run instead.
ask() {
    [ "$assume_yes" = 1 ] && return 0
    if ! [ -t 0 ] || ! [ -t 2 ]; then
        say "" "Nothing was installed. To install these without being asked: ./lab setup --yes"
        exit 3
    fi
    printf '\nInstall these now? [Y/n] ' >&2
    read -r answer || answer=n
    case $answer in
        '' | [Yy] | [Yy][Ee][Ss]) ;;
        *)
            say "Nothing was installed. Run ./lab setup when you are ready."
            exit 3
            ;;
    esac
}

# Keeps where the tools are, for the quick path of ./lab. The key goes last: without it the rest
# does not count.
remember() {
    path_prefix=
    for tool in "$CARGO_BIN" "$GO_BIN" "$BPF_LINKER_BIN"; do
        path_prefix=$path_prefix${tool%/*}:
    done
    if [ "$want" != run ]; then
        path_prefix=$path_prefix${MDBOOK_BIN%/*}:
    fi
    if [ "$want" = all ]; then
        path_prefix=$path_prefix${STATICCHECK_BIN%/*}:
    fi
    rm -f "$STATE/key"
    {
        echo "PROBELAB_SETUP_LEVEL=$want"
        echo "PROBELAB_NIGHTLY=$(quote "$NIGHTLY_DIR")"
        echo "PROBELAB_PROGRAM=$(quote "$PROBELAB_ROOT/target/$ARCH-unknown-linux-musl/release/lab")"
        echo "export PROBELAB_CARGO=$(quote "$CARGO_BIN")"
        echo "export PROBELAB_GO=$(quote "$GO_BIN")"
        echo "export PROBELAB_BPF_LINKER=$(quote "$BPF_LINKER_BIN")"
        echo "export PROBELAB_CLANG=$(quote "$CLANG_BIN")"
        # PROBELAB_GO is the pinned Go itself, so it must not go and fetch another.
        echo "export GOTOOLCHAIN=local"
        echo "export PATH=$(quote "$path_prefix")\"\$PATH\""
    } >"$STATE/env.new"
    mv "$STATE/env.new" "$STATE/env"
    setup_key >"$STATE/key.new"
    mv "$STATE/key.new" "$STATE/key"
    exec 9>&- # the lock, if it was taken, must not outlive the set-up in the program
    # shellcheck source=/dev/null
    . "$STATE/env"
}

# Single-quoted for sh, whatever is in it.
quote() {
    printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")"
}
