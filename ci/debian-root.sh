# Bare Debian roots to try things in, for ci/fresh-machine and ci/vagrant-test. Sourced; needs root
# and a mount namespace of one's own, in which all that is mounted here vanishes with it.
# The host's certificates, name servers, proxies and apt settings are copied in, so that this works
# wherever the host itself can install packages; none of that is in this repository.
# shellcheck shell=sh

# debian_root SUITE ROOT PACKAGES: makes it, from the host's own mirror and keyring, whichever they are.
debian_root() {
    mirror=$(sed -n 's/^URIs: *\(.*[^/]\)\/*$/\1/p' /etc/apt/sources.list.d/*.sources 2>/dev/null | grep '/debian$' | head -n 1)
    [ -n "$mirror" ] || mirror=$(sed -n 's/^deb \(\[.*\] \)\{0,1\}\([^ ]*\/debian\)\/\{0,1\} .*/\2/p' /etc/apt/sources.list 2>/dev/null | head -n 1)
    [ -n "$mirror" ] || mirror=http://deb.debian.org/debian
    mkdir -p "$2"
    apt-config dump | grep -E '^Acquire::(Check|[a-z]+::Proxy)' >"$2.apt.conf" || :
    mmdebstrap --quiet --mode=root --variant=minbase --include="$3" \
        --aptopt="$2.apt.conf" --skip=cleanup/apt/lists \
        "$1" "$2" \
        "deb $mirror $1 main" \
        "deb $mirror $1-updates main" \
        "deb $mirror-security $1-security main"
}

# use_root ROOT: mounts what programs in there want to see, and lets them reach the network.
use_root() {
    for place in proc sys dev; do
        mount --rbind "/$place" "$1/$place"
    done
    mount -t tmpfs tmpfs "$1/tmp" -o mode=1777
    cp -L /etc/resolv.conf "$1/etc/resolv.conf"
    echo "127.0.0.1 localhost $(uname -n)" >"$1/etc/hosts"
    cp "$1.apt.conf" "$1/etc/apt/apt.conf.d/90host"
    cp -L "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" "$1/etc/ssl/certs/ca-certificates.crt"
    cp -RL /usr/local/share/ca-certificates/. "$1/usr/local/share/ca-certificates/" 2>/dev/null || :
}

# add_user ROOT NAME: an ordinary user who may use sudo.
add_user() {
    chroot "$1" useradd --create-home --shell /bin/bash "$2"
    echo "$2 ALL=(ALL) NOPASSWD: ALL" >"$1/etc/sudoers.d/$2"
}

# in_root ROOT USER DIRECTORY COMMAND…: as this user, with only what a network needs of the host's
# environment. The root is made a real one (pivot_root), as in a container: in a mere chroot, programs
# in other mount namespaces are shown paths that begin outside of it.
in_root() {
    root_path=$1 root_user=$2 root_directory=$3
    shift 3
    set -- env -i "HOME=/home/$root_user" "USER=$root_user" LANG=C.UTF-8 TERM=dumb \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
    for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY \
        GOPROXY GOSUMDB GONOSUMDB RUSTUP_DIST_SERVER RUSTUP_UPDATE_ROOT; do
        eval "value=\${$name-}"
        [ -z "$value" ] || set -- env "$name=$value" "$@"
    done
    # shellcheck disable=SC2016  # for the inner shells
    unshare --mount --propagation private sh -c '
        root=$1 user=$2 directory=$3
        shift 3
        mount --rbind "$root" "$root"
        cd "$root"
        pivot_root . mnt
        umount -l mnt
        exec chroot --userspec="$user:$user" --groups= . sh -c '"'"'cd "$1" && shift && exec "$@"'"'"' sh "$directory" "$@"
    ' sh "$root_path" "$root_user" "$root_directory" "$@" </dev/null
}
