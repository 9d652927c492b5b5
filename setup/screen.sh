# What the set-up says: messages, progress with seconds, the log, and one sentence when a step fails.
# Everything goes to standard error, so that `./lab list --format json | jq` stays clean.
# shellcheck shell=sh disable=SC2154  # variables of the other files of setup/

LOG=$STATE/setup.log

# Whether the steps belong to an installation, and whether one of them has changed the machine. The
# first two steps of apt do not.
installing=0
changed=0
STEP_LISTS="apt-get update"
STEP_DOWNLOAD="downloading packages"

say() {
    printf '%s\n' "$@" >&2
}

# Ends the set-up: one clear sentence, exit code 3.
stop() {
    say "lab: $1"
    exit 3
}

now() {
    date +%s
}

# run_step TITLE COMMAND…: runs the command with its output in the log, shows seconds while it runs.
# The command stays in the foreground, so that Ctrl-C and sudo's question reach it.
run_step() {
    step_title=$1
    shift
    step_began=$(now)
    printf '\n=== %s\n' "$step_title" >>"$LOG"
    step_mark=$(wc -l <"$LOG")
    [ -t 2 ] || say "  $step_title …"
    # Descriptor 9 is the lock of the set-up: nothing that outlives it may hold it.
    show_progress "$step_title" "$step_began" 9>&- &
    ticker=$!
    step_code=0
    "$@" >>"$LOG" 2>&1 9>&- || step_code=$?
    # KILL, since a TERM that comes before the child has dropped our traps would be lost.
    kill -KILL "$ticker" 2>/dev/null || :
    wait "$ticker" 2>/dev/null || :
    step_seconds=$(($(now) - step_began))
    if [ -t 2 ]; then
        printf '\r\033[K' >&2
    fi
    if [ "$step_code" = 0 ]; then
        say "  $step_title: done in $step_seconds s"
        case $step_title in
            "$STEP_LISTS" | "$STEP_DOWNLOAD") ;;
            *) changed=1 ;;
        esac
        return 0
    fi
    if [ "$step_code" = 130 ] || [ "$step_code" = 143 ]; then
        interrupted
    fi
    say "  $step_title: FAILED after $step_seconds s"
    explain_failure "$step_mark"
    if [ "$installing" = 1 ]; then
        if [ "$changed" = 1 ]; then
            say "What was finished is kept."
        else
            say "Nothing was installed."
        fi
    fi
    exit 3
}

show_progress() {
    shown=30
    # A launcher that was killed must not leave this loop behind.
    while kill -0 $$ 2>/dev/null; do
        elapsed=$(($(now) - $2))
        if [ -t 2 ]; then
            printf '\r  %s … %s s' "$1" "$elapsed" >&2
        elif [ "$elapsed" -ge "$shown" ]; then
            say "  $1 … $elapsed s"
            shown=$((shown + 30))
        fi
        sleep 1 >/dev/null 2>&1
    done
}

interrupted() {
    kill -KILL "${ticker:-}" 2>/dev/null || :
    say "" "lab: interrupted. What was finished is kept; run the same command to go on from there."
    exit 130
}

# explain_failure LINE: the last lines of this step's output, and the likely reason in a sentence.
explain_failure() {
    step_output=$(tail -n "+$(($1 + 1))" "$LOG")
    # A compiler's first error says more than its last lines.
    if has "$step_output" '^error(\[E[0-9]+\])?:'; then
        say "  The first error in $LOG:"
        printf '%s\n' "$step_output" | sed -n '/^error/,$p' | head -n 25 | sed 's/^/    | /' >&2
    else
        say "  The last lines of $LOG:"
        printf '%s\n' "$step_output" | tail -n 15 | sed 's/^/    | /' >&2
    fi
    say "lab: $(failure_reason "$step_output")"
}

failure_reason() {
    # The order matters: the more telling pattern comes first.
    if has "$1" 'no space left on device|you don.t have enough free space'; then
        echo "the disk is full. Free some space and run the same command again."
    elif has "$1" 'could not get lock|unable to acquire the dpkg frontend lock|is another process using it'; then
        echo "another package manager is at work. Wait until it has finished and run the same command again."
    elif has "$1" 'proxy authentication|407 |from proxy after CONNECT|could not resolve proxy'; then
        echo "the proxy refused the connection. Set https_proxy and http_proxy (with user and password if it asks for them), and Acquire::http::Proxy for apt."
    elif has "$1" 'certificate|x509|unknownissuer|ssl peer|tls handshake'; then
        echo "a server's certificate was not trusted. If your network has its own certificate authority, put its certificate (*.crt) into /usr/local/share/ca-certificates and run update-ca-certificates as root."
    elif has "$1" 'could not resolve|temporary failure resolving|no such host|name resolution|dns error|failed to lookup|network is unreachable|no route to host|failed to connect|connection refused|connection timed out|i/o timeout|connection reset'; then
        echo "the network could not be reached. Connect it (or set https_proxy and http_proxy, and Acquire::http::Proxy for apt) and run the same command again."
    elif has "$1" 'unable to locate package|has no installation candidate|no packages found'; then
        echo "apt does not offer a package that is needed. Enable the distribution's standard, updates and security suites (on Ubuntu also universe), run apt-get update and try again."
    elif has "$1" 'packages need to be removed but remove is disabled'; then
        echo "apt would have to remove packages of yours (see above), so nothing was changed. Often it is the distribution's own cargo or rustc: remove it, or install rustup from rustup.rs beside it. For ./lab test it may be gcc-multilib, which can't be there beside a cross compiler."
    elif has "$1" 'signal: 9|sigkill|cannot allocate memory|out of memory'; then
        echo "there was not enough memory. Close other programs (2 GB free are enough) and run the same command again."
    elif has "$1" 'password is required|not in the sudoers'; then
        echo "sudo did not allow it. Ask whoever runs this machine to install the packages listed above."
    elif has "$1" '^error(\[E[0-9]+\])?:'; then
        echo "the build failed; the first error is above, all of it in $LOG."
    else
        echo "this step failed; all of its output is in $LOG. Run the same command to try again."
    fi
}

has() {
    printf '%s\n' "$1" | grep -qiE "$2"
}
