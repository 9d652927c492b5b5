//! Sets `bpf_target_arch`: the layout of registers differs between processors.

fn main() -> aya_build::Result<()> {
    aya_build::emit_bpf_target_arch_cfg()
}
