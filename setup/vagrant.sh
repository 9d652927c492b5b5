#!/bin/sh
# Run by Vagrant as root at each start of its machine: says that labs may run on it natively, keeps
# what is built on its own disk, and puts `lab` on the PATH.
set -eu
user=vagrant
root=/probelab
own=/var/lib/probelab

# What a learner's work lies in has to belong to the one who works.
if ! runuser -u "$user" -- test -w "$root"; then
    echo "Probelab: $root can't be written by the user $user, since it belongs to user number $(stat -c %u "$root")." >&2
    echo "With libvirt, share it another way: PROBELAB_SYNC=nfs vagrant reload (and with every other command of vagrant's)." >&2
    exit 1
fi

# Compilers write thousands of small files, which shared folders are slow for, and VirtualBox's
# allow no links.
install -d -o "$user" -g "$user" "$own" "$own/target"
runuser -u "$user" -- mkdir -p "$root/target"
mountpoint -q "$root/target" || mount --bind "$own/target" "$root/target"

# Debian's kernels close perf events to all but CAP_SYS_ADMIN; learners' programs have CAP_PERFMON.
echo 'kernel.perf_event_paranoid = 2' >/etc/sysctl.d/90-probelab.conf
sysctl -q -p /etc/sysctl.d/90-probelab.conf

cat >/etc/probelab-machine <<END
This machine is there for Probelab: checks run on its own kernel (lab check --on auto).
END

ln -sfn "$root/lab" /usr/local/bin/lab
cat >/etc/profile.d/probelab.sh <<END
# Written by Probelab's setup/vagrant.sh.
if [ "\$(id -un)" = $user ] && [ "\$PWD" = "\$HOME" ]; then
    cd $root
    # Only Vagrant mounts it.
    mountpoint -q $root/target || echo "This machine was not started by Vagrant: leave it and run 'vagrant reload'." >&2
fi
END
