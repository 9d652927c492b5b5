// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 OR MIT
/* Counts, by process, how often openat(2) is called. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* Calls seen so far, by process id. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 10240);
	__type(key, __u32);
	__type(value, __u64);
} OPENS SEC(".maps");

SEC("tracepoint/syscalls/sys_enter_openat")
int count_opens(void *ctx)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32;
	__u64 *calls = bpf_map_lookup_elem(&OPENS, &pid);

	__u64 one = 1;

	if (calls)
		*calls += 1;
	else
		bpf_map_update_elem(&OPENS, &pid, &one, BPF_NOEXIST);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
