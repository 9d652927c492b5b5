// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 OR MIT
/* A histogram, by process, of how many bytes pread64(2) is asked for. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* 512 bytes each; the last slot is for all reads too big for the others. */
#define SLOTS 16

struct histogram {
	__u64 reads[SLOTS];
};

/* Histograms by process id. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct histogram);
} SIZES SEC(".maps");

/* As /sys/kernel/tracing/events/syscalls/sys_enter_pread64/format lays it out. */
struct pread {
	__u64 common;
	__u64 number;
	__u64 fd;
	__u64 buf;
	__u64 count;
	__u64 pos;
};

SEC("tracepoint/syscalls/sys_enter_pread64")
int count_sizes(struct pread *call)
{
	struct histogram none = {}, *of;
	__u32 pid = bpf_get_current_pid_tgid() >> 32;
	__u64 slot;

	bpf_map_update_elem(&SIZES, &pid, &none, BPF_NOEXIST);
	of = bpf_map_lookup_elem(&SIZES, &pid);
	if (!of)
		return 0;

	slot = call->count / 512;
	if (slot >= SLOTS)
		return 0;
	of->reads[slot] += 1;
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
