// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 OR MIT
/* Counts the samples of the processes that one process has started, by their names. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#define NAME_SIZE 16

/* The process whose children to look at. */
const volatile __u32 target;

/* Samples by a process's name. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, char[NAME_SIZE]);
	__type(value, __u64);
} BY_NAME SEC(".maps");

/* What the kernel knows of a thread, include/linux/sched.h: some 200 fields. Only those that are used
 * need to be declared, in any order, and for each the loader puts in where the running kernel has it.
 */
struct task_struct {
	/* The process, as user space numbers it. */
	int tgid;
	/* ANCHOR: fields */
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	char comm[NAME_SIZE];
	/* ANCHOR_END: fields */
} __attribute__((preserve_access_index));

/* Adds one to the counter of `name`. */
static void count(const char *name)
{
	__u64 zero = 0;
	__u64 *counter = bpf_map_lookup_elem(&BY_NAME, name);

	if (!counter) {
		/* Where another CPU was faster, its counter stays. */
		bpf_map_update_elem(&BY_NAME, name, &zero, BPF_NOEXIST);
		counter = bpf_map_lookup_elem(&BY_NAME, name);
	}
	if (counter)
		__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

/* The kernel runs this at each tick of the CPU clock, on the CPU that ticked, whatever runs there. */
SEC("perf_event")
int sample_family(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	char name[NAME_SIZE] = {};

	/* ANCHOR: core */
	if (BPF_CORE_READ(task, real_parent, tgid) != target)
		return 0;
	BPF_CORE_READ_STR_INTO(&name, task, group_leader, comm);
	count(name);
	/* ANCHOR_END: core */
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
