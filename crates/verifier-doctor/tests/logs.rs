//! Real logs. `tests/logs/CLASS.log` and `CLASS.VARIANT.log` are what Linux 6.18 wrote about a
//! small program that breaks the rule CLASS (too-many-instructions: with its middle left out).

use std::{fs, path::Path};

use verifier_doctor::{Class, Diagnosis, diagnose, diagnose_among};

fn log(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/logs/{name}.log"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn each_log_is_of_the_class_that_its_name_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/logs");
    let mut read = 0;
    for entry in fs::read_dir(folder).expect("the logs are there") {
        let name = entry.expect("a readable folder").file_name();
        let name = name
            .to_str()
            .expect("a plain name")
            .trim_end_matches(".log");
        let class = name.split('.').next().unwrap_or_default();
        let diagnosis = diagnose(&log(name));
        assert_eq!(
            diagnosis.class.id(),
            class,
            "{name}: {}",
            diagnosis.message_line
        );
        assert!(!diagnosis.message_line.is_empty(), "{name}");
        read += 1;
    }
    assert!(read >= 35, "only {read} logs");
}

/// The programs of the lab verifier-memory as they are handed out: what learners read.
#[test]
fn source_lines_are_those_of_the_learner() {
    for (name, file, line, text) in [
        (
            "maybe-null-map-value.opens",
            "opens.bpf.c",
            21,
            "*calls += 1;",
        ),
        (
            "out-of-bounds-map-value.sizes",
            "sizes.bpf.c",
            47,
            "of->reads[slot] += 1;",
        ),
        (
            "scalar-as-pointer.paths",
            "paths.rs",
            30,
            "let first = unsafe { *path };",
        ),
        (
            "unbounded-size.texts",
            "texts.rs",
            50,
            "if bpf_probe_read_user((&raw mut (*text).bytes).cast(), len as u32, from.cast()) == 0 {",
        ),
    ] {
        let source = diagnose(&log(name)).source.unwrap_or_default();
        assert_eq!(
            (source.file.as_deref(), source.line, source.text.as_str()),
            (Some(file), Some(line), text),
            "{name}"
        );
    }
}

#[test]
fn a_line_of_a_library_gives_way_to_the_nearest_of_the_learners() {
    let log = "; let first = first_byte(path); @ paths.rs:30\n\
               12: (79) r1 = *(u64 *)(r10 -8)\n\
               ; unsafe { core::ptr::read(src) } @ mod.rs:1740\n\
               13: (71) r1 = *(u8 *)(r1 +0)\n\
               R1 invalid mem access 'scalar'\n";
    let of = |diagnosis: Diagnosis| diagnosis.source.unwrap_or_default().line;
    assert_eq!(of(diagnose(log)), Some(1740));
    assert_eq!(of(diagnose_among(log, |name| name == "paths.rs")), Some(30));
    assert_eq!(
        of(diagnose_among(log, |name| name == "other.rs")),
        Some(1740)
    );
}

#[test]
fn the_instruction_is_the_one_that_was_refused() {
    for (name, insn) in [
        ("maybe-null-map-value.opens", 8),
        ("out-of-bounds-map-value.sizes", 42),
        ("scalar-as-pointer.after-submit", 10),
        ("unbounded-loop", 1),
        ("unreachable-code", 2),
    ] {
        assert_eq!(diagnose(&log(name)).insn, Some(insn), "{name}");
    }
}

/// Wordings of other kernels, from their kernel/bpf/verifier.c.
#[test]
fn a_class_outlives_its_wording() {
    for (line, class) in [
        // 5.10
        ("R1 invalid mem access 'inv'", Class::ScalarAsPointer),
        ("invalid stack off=-520 size=8", Class::OutOfBoundsStack),
        (
            "invalid stack type R1 off=-8 access_size=16",
            Class::OutOfBoundsStack,
        ),
        (
            "invalid indirect read from stack off -8+0 size 8",
            Class::UninitialisedStack,
        ),
        ("R1 type=inv expected=map_ptr", Class::WrongArgumentType),
        (
            "cannot call GPL only function from proprietary program",
            Class::GplOnlyHelper,
        ),
        ("back-edge from insn 3 to 1", Class::UnboundedLoop),
        (
            "At program exit the register R0 has value (0x5; 0x0) should have been in (0x0; 0x1)",
            Class::BadReturnValue,
        ),
        // 6.1
        ("unknown func bpf_get_stackid#27", Class::HelperNotAllowed),
        (
            "invalid read from stack R2 off -16+0 size 8",
            Class::UninitialisedStack,
        ),
        // 6.12 and newer
        (
            "At program exit the register R0 has smin=5 smax=5 should have been in [0, 1]",
            Class::BadReturnValue,
        ),
        (
            "program of this type cannot use helper bpf_get_stackid#27",
            Class::HelperNotAllowed,
        ),
        (
            "cannot call GPL-restricted function from non-GPL compatible program",
            Class::GplOnlyHelper,
        ),
        // What libbpf makes of its own poisoned call.
        ("7: <invalid CO-RE relocation>", Class::CoreRelocation),
    ] {
        assert_eq!(diagnose(line).class, class, "{line}");
    }
}

#[test]
fn a_range_without_a_name_is_told_by_the_register() {
    let message = "R1 unbounded memory access, make sure to bounds check any such access";
    for (state, class) in [
        (
            "R1_w=map_value(off=0,ks=4,vs=8)",
            Class::OutOfBoundsMapValue,
        ),
        ("R1=pkt(r=0)", Class::OutOfBoundsPacket),
        (
            "R1=ringbuf_mem(ref_obj_id=2,sz=8) R10=fp0",
            Class::OutOfBoundsMemory,
        ),
        ("R10=map_value(vs=8) R1=fp-8", Class::OutOfBoundsStack),
    ] {
        let log = format!("4: (79) r0 = *(u64 *)(r1 +0) ; {state}\n{message}\n");
        assert_eq!(diagnose(&log).class, class, "{state}");
    }
}

/// A report as Linux 7.3 writes it (kernel/bpf/diagnostics.c), put together from its format
/// strings, without a message of the older kind before it.
fn report(header: &str, reason: &str) -> String {
    format!(
        "0: R1=ctx() R10=fp0\n\nVerification failed: {header}\n\nReason:\n  {reason}\n\nAt:\n  \
         count_opens @ opens.bpf.c:21:9\n  Source context:\n      20 | \n  >>> 21 | \t*calls += 1;\n     \
         |         ^-- error: x\n  Instruction context:\n  >>> 8 | (79) r1 = *(u64 *)(r0 +0)\n"
    )
}

#[test]
fn reports_are_read_by_title_and_reason() {
    for (header, reason, class) in [
        (
            "Register Type Safety: Invalid dereference",
            "R0 may be NULL here (a nullable map value pointer). The program could",
            Class::MaybeNullMapValue,
        ),
        (
            "Register Type Safety: Invalid dereference",
            "R1 is an integer scalar here, not a pointer to memory.",
            Class::ScalarAsPointer,
        ),
        (
            "Register Type Safety: Unreadable register",
            "R2 is not",
            Class::UninitialisedRegister,
        ),
        (
            "Memory Safety: Access outside bounds",
            "Here, x. R0 is a map value pointer; offset is 8",
            Class::OutOfBoundsMapValue,
        ),
        (
            "Resource Lifetime Safety: Unreleased resource",
            "Owned resource (id=2)",
            Class::LeakedReference,
        ),
        ("Policy: Something new", "because", Class::Unknown),
    ] {
        let diagnosis = diagnose(&report(header, reason));
        assert_eq!(diagnosis.class, class, "{header}");
        assert_eq!(diagnosis.message_line, header);
    }
}

#[test]
fn a_report_tells_its_own_place() {
    let source = diagnose(&report("Register Type Safety: Invalid dereference", "x")).source;
    let source = source.unwrap_or_default();
    assert_eq!(source.file.as_deref(), Some("opens.bpf.c"));
    assert_eq!(
        (source.line, source.text.as_str()),
        (Some(21), "*calls += 1;")
    );
}

#[test]
fn a_message_of_the_older_kind_decides_over_a_report() {
    let log = format!(
        "8: (79) r1 = *(u64 *)(r0 +0)\nR0 invalid mem access 'map_value_or_null'\n{}",
        report(
            "Register Type Safety: Invalid dereference",
            "R0 is an integer scalar"
        )
    );
    assert_eq!(diagnose(&log).class, Class::MaybeNullMapValue);
}

#[test]
fn what_a_loader_adds_does_not_matter() {
    let inner = log("maybe-null-map-value.opens");
    let outer = format!(
        "libbpf: prog 'count_opens': BPF program load failed: Permission denied\n\
         libbpf: prog 'count_opens': -- BEGIN PROG LOAD LOG --\n{inner}-- END PROG LOAD LOG --\n\
         libbpf: prog 'count_opens': failed to load: -13\n"
    );
    assert_eq!(diagnose(&outer), diagnose(&inner));
}

#[test]
fn ids_are_unique_and_lead_back() {
    for class in Class::ALL {
        assert_eq!(Class::from_id(class.id()), Some(*class));
    }
}

#[test]
fn the_book_lists_every_class() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../book/src/labs/verifier-memory.md");
    let page = fs::read_to_string(page).expect("the lab's page is there");
    for class in Class::ALL {
        let row = format!("| `{class}` | {} |", class.title());
        assert!(page.contains(&row), "missing from the page: {row}");
    }
}

#[test]
fn explanations_are_of_a_readable_length() {
    for class in Class::ALL {
        let lines = verifier_doctor::wrapped(class.explanation())
            .lines()
            .count();
        assert!((3..=9).contains(&lines), "{class}: {lines} lines");
        assert!(class.next_step().ends_with('.'), "{class}");
    }
}

#[test]
fn no_message_is_unknown_and_says_what_there_is() {
    assert_eq!(diagnose("").class, Class::Unknown);
    let odd = diagnose("0: (b7) r0 = 0\nsomething never seen\nprocessed 1 insns\n");
    assert_eq!(
        (odd.class, odd.message_line.as_str()),
        (Class::Unknown, "something never seen")
    );
}

/// Pieces of real logs in random order, cut at random bytes: nothing may panic.
#[test]
fn any_text_is_survived() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/logs");
    let mut pieces: Vec<String> = vec![
        "Verification failed: ".into(),
        "At:".into(),
        ">>> ".into(),
        "R".into(),
        "; @ :".into(),
        "insn ".into(),
        "99999999999999999999: (".into(),
        "\u{0}é\u{1f600} R1=".into(),
        "a: b:c:d".into(),
    ];
    for entry in fs::read_dir(folder).expect("the logs are there") {
        let text = fs::read_to_string(entry.expect("a readable folder").path()).expect("text");
        pieces.extend(text.lines().map(str::to_owned));
    }
    // A linear congruential generator (Knuth's MMIX numbers): the same texts in every run.
    let mut state = 1u64;
    let mut random = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for _ in 0..5_000 {
        let mut text = String::new();
        for _ in 0..random(12) {
            let piece: Vec<char> = pieces[random(pieces.len())].chars().collect();
            let (a, b) = (random(piece.len() + 1), random(piece.len() + 1));
            text.extend(&piece[a.min(b)..a.max(b)]);
            if random(4) > 0 {
                text.push('\n');
            }
        }
        let diagnosis = diagnose(&text);
        assert!(!diagnosis.to_string().is_empty());
    }
}
