//! `[needs]`: what a lab's checks need of the machine.

use crate::capability::{Capability, NAMES};
use crate::id::is_id;
use crate::lab::{Arch, KernelVersion, Needs};
use crate::table::{At, Doc, Table};

/// BPF program types by their name in `enum bpf_prog_type` (include/uapi/linux/bpf.h), without
/// the `BPF_PROG_TYPE_` and in kebab case.
pub const PROGRAM_TYPES: &[&str] = &[
    "socket-filter",
    "kprobe",
    "sched-cls",
    "sched-act",
    "tracepoint",
    "xdp",
    "perf-event",
    "cgroup-skb",
    "cgroup-sock",
    "lwt-in",
    "lwt-out",
    "lwt-xmit",
    "sock-ops",
    "sk-skb",
    "cgroup-device",
    "sk-msg",
    "raw-tracepoint",
    "cgroup-sock-addr",
    "lwt-seg6local",
    "lirc-mode2",
    "sk-reuseport",
    "flow-dissector",
    "cgroup-sysctl",
    "raw-tracepoint-writable",
    "cgroup-sockopt",
    "tracing",
    "struct-ops",
    "ext",
    "lsm",
    "sk-lookup",
    "syscall",
    "netfilter",
];

pub(super) fn needs(lab: &mut Table<'_>) -> Needs {
    let Some(mut t) = lab.table("needs", "[needs]") else {
        return Needs::default();
    };
    let doc = t.doc;
    let mut needs = Needs {
        kernel: t.opt_str("kernel").and_then(|at| kernel(doc, &at)),
        btf: t.opt_bool("btf").unwrap_or(false),
        ..Needs::default()
    };
    for at in t.strings("program-types") {
        if program_type(doc, &at) {
            needs.program_types.push(at.value.to_owned());
        }
    }
    for at in t.strings("capabilities") {
        if doc.choice(&at, "capabilities", NAMES).is_some() {
            needs.capabilities.extend(Capability::from_name(at.value));
        }
    }
    for at in t.strings("arch") {
        if doc.choice(&at, "arch", Arch::WORDS).is_some() {
            needs.arch.extend(Arch::from_word(at.value));
        }
    }
    needs.config = shaped(&mut t, "config", "CONFIG_BPF_SYSCALL", |text| {
        text.strip_prefix("CONFIG_").is_some_and(|rest| {
            !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        })
    });
    needs.helpers = shaped(&mut t, "helpers", "bpf_get_stackid", |text| {
        text.strip_prefix("bpf_")
            .is_some_and(|rest| !rest.is_empty() && word(rest, "_"))
    });
    needs.attach = shaped(&mut t, "attach", "trace-fentry", is_id);
    needs.modules = shaped(&mut t, "modules", "veth", |text| word(text, "_-"));
    needs.tools = shaped(&mut t, "tools", "clang", |text| word(text, "._+-"));
    t.finish();
    needs
}

fn kernel(doc: &Doc, at: &At<&str>) -> Option<KernelVersion> {
    // Only the two numbers: what follows them means nothing to a kernel's features.
    let version = at.value.parse::<KernelVersion>().ok();
    let version = version.filter(|v| v.to_string() == at.value);
    if version.is_none() {
        doc.report(
            &at.span,
            format!("`{}` is not a kernel version", at.value),
            "not a version",
            "write the two numbers, like `kernel = \"5.10\"`",
        );
    }
    version
}

fn program_type(doc: &Doc, at: &At<&str>) -> bool {
    let kernels_name = match at.value {
        "uprobe" | "uretprobe" | "kretprobe" => "kprobe",
        "fentry" | "fexit" | "fmod-ret" | "tp-btf" | "btf-tracepoint" => "tracing",
        "classifier" | "tc" => "sched-cls",
        _ => return doc.choice(at, "program-types", PROGRAM_TYPES).is_some(),
    };
    doc.report(
        &at.span,
        format!("`{}` is not a value of `program-types`", at.value),
        "an attach point, not a type",
        format!("the kernel's type for it is `{kernels_name}`"),
    );
    false
}

fn word(text: &str, more: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || more.contains(c))
}

fn shaped(
    t: &mut Table<'_>,
    key: &'static str,
    example: &str,
    fits: impl Fn(&str) -> bool,
) -> Vec<String> {
    let mut kept = Vec::new();
    for at in t.strings(key) {
        if fits(at.value) {
            kept.push(at.value.to_owned());
        } else {
            t.doc.report(
                &at.span,
                format!("`{}` can't be an entry of `{key}`", at.value),
                "not such a name",
                format!("write it like `{example}`"),
            );
        }
    }
    kept
}
