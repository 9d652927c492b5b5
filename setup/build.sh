# Builds the program `lab`, statically, so that the same file also runs inside a VM.
# shellcheck shell=sh disable=SC2154  # variables of the other files of setup/

build_program() {
    make_state_dir
    [ -n "${STABLE-}" ] || {
        check_platform
        read_versions
    }
    # Taken before the build starts: a file saved while it runs is newer than this.
    : >"$STATE/built.new"
    run_step "building lab" cargo_build
    mv "$STATE/built.new" "$STATE/built"
    [ -x "$PROBELAB_PROGRAM" ] || stop "the build did not make $PROBELAB_PROGRAM. The log is $LOG."
}

# The learner's own settings for target directories or toolchains are not for this build.
cargo_build() {
    (
        unset CARGO_TARGET_DIR CARGO_BUILD_TARGET_DIR CARGO_BUILD_TARGET
        cd "$PROBELAB_ROOT" || exit 1
        RUSTUP_TOOLCHAIN=$STABLE "$PROBELAB_CARGO" build --quiet --release \
            --target "$ARCH-unknown-linux-musl" -p probelab
    )
}
