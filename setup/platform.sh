# Which machines the set-up works on, and the one message that everybody else gets.
# PROBELAB_OS_RELEASE, PROBELAB_PROC_VERSION and PROBELAB_SYSROOT replace files of the system; they
# exist for ci/launcher-test alone.
# shellcheck shell=sh disable=SC2034  # the variables are read by the other files of setup/

OS_RELEASE=${PROBELAB_OS_RELEASE-/etc/os-release}
PROC_VERSION=${PROBELAB_PROC_VERSION-/proc/version}
SYSROOT=${PROBELAB_SYSROOT-}

SUPPORTED="Probelab runs on Linux (x86_64 or arm64) and sets itself up on Debian 12 and 13 and on Ubuntu 24.04 and later."
USE_A_VM="Everywhere else use a Linux virtual machine: 'vagrant up' in this directory makes one (README.md says with what); any Debian 13 of 2 CPUs and 4 GB will do."

# Ends here on a system that can't run eBPF at all; leaves the distribution to check_can_install,
# since anybody may have installed the tools by hand.
check_platform() {
    system=$(uname -s)
    case $system in
        Linux) ;;
        Darwin) refuse "This is macOS, which has no eBPF." ;;
        MINGW* | MSYS* | CYGWIN*) refuse "This is a Unix shell on Windows ($system), not Linux." ;;
        *) refuse "This is $system, not Linux." ;;
    esac
    # WSL 1 translates system calls and has no kernel of its own; WSL 2 says "microsoft-standard".
    if grep -q 'Microsoft' "$PROC_VERSION" 2>/dev/null; then
        refuse "This is WSL 1, which has no Linux kernel. 'wsl --set-version DISTRIBUTION 2' in PowerShell turns it into WSL 2."
    fi
    ARCH=$(uname -m)
    case $ARCH in
        x86_64) GOARCH=amd64 OTHER_ARCH=aarch64 ;;
        aarch64) GOARCH=arm64 OTHER_ARCH=x86_64 ;;
        *) refuse "This machine is $ARCH." ;;
    esac
}

refuse() {
    say "lab: $1" "$SUPPORTED" "$USE_A_VM" "Nothing was installed."
    exit 3
}

os_field() {
    sed -n "s/^$1=//p" "$OS_RELEASE" 2>/dev/null | tr -d '"' | head -n 1
}

# True on the distributions whose package names we know.
distribution_known() {
    version=$(os_field VERSION_ID)
    case $(os_field ID) in
        # Testing and unstable have no VERSION_ID.
        debian) [ "${version:-99}" -ge 12 ] 2>/dev/null ;;
        ubuntu) [ "${version%%.*}" -ge 24 ] 2>/dev/null ;;
        *) return 1 ;;
    esac
}

# Ends here when packages are missing that we can't install: the distribution is not one we know, or
# we may not become root. Sets `as_root`, the prefix of commands that need it.
check_can_install() {
    as_root=
    packages=$(missing_packages)
    [ -n "$packages" ] || return 0
    if ! distribution_known || ! command -v apt-get >/dev/null; then
        name=$(os_field PRETTY_NAME)
        refuse "Some of these come from the distribution, and ${name:-this distribution} is not one that the set-up knows. Install them with its package manager and run ./lab again, or use one that is supported."
    fi
    [ "$(id -u)" = 0 ] && return 0
    if ! command -v sudo >/dev/null; then
        refuse_root "you are not root and there is no sudo" "$packages"
    fi
    if ! sudo -n true 2>/dev/null; then
        # A password can only be typed at a terminal.
        if ! [ -t 0 ] || ! [ -t 2 ]; then
            refuse_root "sudo asks for a password and there is no terminal to type it at" "$packages"
        fi
    fi
    as_root=sudo
}

refuse_root() {
    say "" "lab: the packages need root, but $1." \
        "Ask whoever runs this machine to run this, then start ./lab again (the rest needs no root):"
    say "  apt-get install --no-install-recommends $2"
    say "Or use a Linux virtual machine of yours ('vagrant up' makes one). Nothing was installed."
    exit 3
}
