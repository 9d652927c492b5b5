// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 OR MIT
/* Counts the stacks of one process. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define MAX_DEPTH 127

/* The process to look at. User space sets it before it loads the program, and the verifier knows it. */
const volatile __u32 target;

/* Stacks by id. The kernel fills it and chooses the ids. */
struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__uint(value_size, MAX_DEPTH * sizeof(__u64));
} STACKS SEC(".maps");

/* How often each stack was seen, by its id. One counter for all CPUs. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, __u64);
} COUNTS SEC(".maps");

/* Adds one to the counter of the stack `id`. */
static void count(__u32 id)
{
	__u64 one = 1;

	bpf_map_update_elem(&COUNTS, &id, &one, BPF_NOEXIST);
}

/* The kernel runs this at each tick of the CPU clock, on the CPU that ticked, whatever runs there. */
SEC("perf_event")
int sample(void *ctx)
{
	__u32 process = bpf_get_current_pid_tgid() >> 32;
	long id;

	if (process != target)
		return 0;
	id = bpf_get_stackid(ctx, &STACKS, BPF_F_USER_STACK);
	if (id >= 0)
		count(id);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
