//! `lab pgo serve` as a process of its own: killed, out of room, asked by Go's own clients.

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use pgo::{
    client::{Ask, Method, StatusCode, Told},
    store::{Settings, Store},
};

/// A server, killed when it is dropped.
struct Running {
    child: Child,
    base: String,
}

impl Running {
    fn start(data: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lab"));
        command.args(["pgo", "serve", "--data"]).arg(data);
        Self::of(command.args(["--listen", "127.0.0.1:0", "--rate", "100000"]))
    }

    fn of(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
        let mut line = String::new();
        let output = child.stdout.take().expect("piped");
        BufReader::new(output)
            .read_line(&mut line)
            .expect("it says where it is");
        let base = line.split(' ').next().expect("an address").to_owned();
        assert!(base.starts_with("http://127.0.0.1:"), "{line:?}");
        Self { child, base }
    }

    fn ask(&self, method: Method, path: &str, body: Vec<u8>) -> Result<Told, pgo::client::Error> {
        Ask::new(method, &format!("{}{path}", self.base))?
            .body(body)
            .ask()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // SIGKILL.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A profile that no other is like: a recorded one, as if of now, with a string more that holds its number and
/// `extra` bytes that pack badly. Fields of a message, and members of a gzip file, may come one after the other.
fn profile(number: u32, extra: usize) -> Vec<u8> {
    const RECORDED: &[u8] = include_bytes!("../../../labs/610-first-pgo-build/profiles/one.pprof");
    const STRING_TABLE: u8 = 6 << 3 | 2;
    const TIME_NANOS: u8 = 9 << 3;
    let mut rng = fastrand::Rng::with_seed(number.into());
    let noise: String = (0..extra).map(|_| rng.alphanumeric()).collect();
    let text = format!("number {number} {noise}");
    let mut fields = vec![STRING_TABLE];
    varint(&mut fields, text.len() as u64);
    fields.extend(text.bytes());
    fields.push(TIME_NANOS);
    varint(&mut fields, pgo::server::now() as u64);
    [RECORDED, &goprof::pack(&fields)].concat()
}

/// As protobuf writes numbers.
fn varint(bytes: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// The profile's name in an acknowledgement.
fn acknowledged(told: &Told) -> String {
    let value: serde_json::Value = serde_json::from_slice(&told.body).expect("JSON");
    value["profile"].as_str().expect("a hash").to_owned()
}

#[test]
fn kill_9_loses_nothing_that_was_acknowledged() {
    const PUSHERS: usize = 3;
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("store");
    let kept: Mutex<BTreeSet<String>> = Mutex::default();
    let next = AtomicU32::new(0);
    let mut rng = fastrand::Rng::new();
    for round in 0..6 {
        let server = Running::start(&data);
        let dead = AtomicBool::new(false);
        let before = kept.lock().expect("unbroken").len();
        std::thread::scope(|scope| {
            for _ in 0..PUSHERS {
                scope.spawn(|| {
                    while !dead.load(Ordering::Relaxed) {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        let body = profile(number, 1000);
                        let told = server.ask(Method::PUT, "/v1/services/shop/profile", body);
                        // Once it is killed there is no answer.
                        let Ok(told) = told else { continue };
                        assert_eq!(told.status, StatusCode::CREATED);
                        kept.lock().expect("unbroken").insert(acknowledged(&told));
                    }
                });
            }
            // In the midst of the work, which the first answers show to have begun.
            let begun = Instant::now();
            while kept.lock().expect("unbroken").len() < before + 5 {
                assert!(
                    begun.elapsed() < Duration::from_secs(60),
                    "nothing was kept"
                );
                std::thread::sleep(Duration::from_millis(5));
            }
            std::thread::sleep(Duration::from_millis(rng.u64(0..300)));
            let pid = server.child.id().to_string();
            let killed = Command::new("kill").args(["-9", &pid]).status();
            assert!(killed.is_ok_and(|status| status.success()));
            dead.store(true, Ordering::Relaxed);
        });
        drop(server);

        let store = Store::open(&data, Settings::default()).expect("it opens again");
        let shop = "shop".parse().expect("a name");
        let listed = store.profiles(&shop, u32::MAX).expect("listed");
        let hashes: BTreeSet<String> = listed
            .iter()
            .map(|one| one.hash.to_hex().to_string())
            .collect();
        let kept = kept.lock().expect("unbroken");
        let lost: Vec<_> = kept.difference(&hashes).collect();
        assert!(
            lost.is_empty(),
            "round {round}: of {} these are lost: {lost:?}",
            kept.len()
        );
        for one in &listed {
            // What is listed is there, whole, and what it was.
            store.raw(&shop, &one.hash).expect("its body");
        }
        let merged = store.window(&shop, Duration::from_secs(30 * 86_400), pgo::server::now());
        assert_eq!(merged.expect("merged").facts.profiles, listed.len() as i64);
    }
    println!(
        "{} profiles acknowledged, none lost",
        kept.lock().expect("unbroken").len()
    );
}

/// On a file system of 28 MiB, of which the store leaves 16 free.
#[test]
fn a_full_disk_is_told_and_what_was_kept_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let small = "mount -t tmpfs -o size=28m none \"$1\" && shift && exec \"$@\"";
    let in_own_namespace = |args: &[&str]| {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "sh", "-c", small, "sh"])
            .arg(folder.path())
            .args(args);
        command
    };
    if !in_own_namespace(&["true"])
        .status()
        .is_ok_and(|status| status.success())
    {
        eprintln!("skipped: a file system can't be mounted here (it takes root)");
        return;
    }
    let data = folder.path().join("store").display().to_string();
    let lab = env!("CARGO_BIN_EXE_lab");
    let args = [
        lab,
        "pgo",
        "serve",
        "--data",
        &data,
        "--listen",
        "127.0.0.1:0",
        "--rate",
        "100000",
    ];
    let server = Running::of(&mut in_own_namespace(&args));
    let put = |service: &str, number| {
        let path = format!("/v1/services/{service}/profile");
        server
            .ask(Method::PUT, &path, profile(number, 600_000))
            .expect("an answer")
    };
    let mut kept = Vec::new();
    let refused = loop {
        let number = kept.len() as u32;
        let told = put("shop", number);
        if told.status != StatusCode::CREATED {
            break told;
        }
        kept.push(acknowledged(&told));
        assert!(number < 100, "it never fills");
    };
    assert_eq!(refused.status, StatusCode::INSUFFICIENT_STORAGE);
    let message = String::from_utf8_lossy(&refused.body).into_owned();
    assert!(
        message.contains("the disk is full where the store lies"),
        "{message}"
    );
    assert!(kept.len() > 10, "{}", kept.len());
    for hash in &kept {
        let path = format!("/v1/services/shop/profiles/{hash}");
        let told = server
            .ask(Method::GET, &path, Vec::new())
            .expect("an answer");
        assert_eq!(told.status, StatusCode::OK);
    }
    // Builds go on with what there is, and removing makes room again.
    let pgo = server.ask(
        Method::GET,
        "/v1/services/shop/default.pgo?window=30d",
        Vec::new(),
    );
    assert_eq!(pgo.expect("an answer").status, StatusCode::OK);
    let gone = server.ask(Method::DELETE, "/v1/services/shop", Vec::new());
    assert_eq!(gone.expect("an answer").status, StatusCode::NO_CONTENT);
    assert_eq!(put("other", 1000).status, StatusCode::CREATED);
}

/// A folder with the Go program that pushes, or serves, its own profile; `None` where Go is missing.
fn program() -> Option<tempfile::TempDir> {
    let folder = tempfile::tempdir().expect("a folder");
    if Command::new("go").arg("version").output().is_err() {
        eprintln!("skipped: `go` is not on PATH");
        return None;
    }
    decisions(&folder, "-pgo=off", "plain");
    Some(folder)
}

/// Builds the program, and returns what the compiler did at the hot call.
fn decisions(folder: &tempfile::TempDir, profile: &str, name: &str) -> Vec<String> {
    let module = concat!(env!("CARGO_MANIFEST_DIR"), "/../../go-samples/pushes");
    let source = std::fs::read_to_string(format!("{module}/work.go")).expect("its source");
    let hot = source
        .lines()
        .position(|line| line.contains("// the hot call"));
    let hot = format!("./work.go:{}:", hot.expect("a marked line") + 1);
    let output = Command::new("go")
        .current_dir(module)
        .args(["build", profile, "-gcflags=-m=2", "-o"])
        .args([&folder.path().join(name), Path::new(".")])
        .env("GOWORK", "off")
        .env_remove("GOFLAGS")
        .output()
        .expect("go starts");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let there = told.lines().filter_map(|line| line.strip_prefix(&hot));
    there
        .filter_map(|line| Some(line.split_once(": ")?.1))
        .filter(|line| line.starts_with("PGO devirtualizing") || line.starts_with("inlining call"))
        .map(str::to_owned)
        .collect()
}

/// Fetches the service's profile, and builds the program with it: the hot call of an interface is made
/// directly, and its callee put in its place.
fn build_with_what_comes_out(folder: &tempfile::TempDir, server: &Running) {
    let profile = folder.path().join("default.pgo");
    let pulled = Command::new(env!("CARGO_BIN_EXE_lab"))
        .args([
            "pgo",
            "pull",
            "--service",
            "pushes",
            "--server",
            &server.base,
            "--output",
        ])
        .arg(&profile)
        .output()
        .expect("it starts");
    assert!(
        pulled.status.success(),
        "{}",
        String::from_utf8_lossy(&pulled.stderr)
    );
    assert_eq!(decisions(folder, "-pgo=off", "plain"), [""; 0]);
    let with = format!("-pgo={}", profile.display());
    let expected = [
        "PGO devirtualizing interface call mixers[which].mix to (*xorshift).mix",
        "inlining call to (*xorshift).mix",
    ];
    assert_eq!(decisions(folder, &with, "with-profile"), expected);
}

/// Pyroscope's client for Go, as it is, with all its kinds of profiles.
#[test]
fn what_pyroscopes_client_pushes_makes_a_faster_program() {
    let Some(folder) = program() else { return };
    let mut command = Command::new(env!("CARGO_BIN_EXE_lab"));
    command.args([
        "pgo",
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--samples",
        "200",
        "--data",
    ]);
    let data = folder.path().join("store");
    let token = Command::new(env!("CARGO_BIN_EXE_lab"))
        .args([
            "pgo", "token", "add", "pushes", "--scopes", "push", "--data",
        ])
        .arg(&data)
        .output()
        .expect("it starts");
    let token = String::from_utf8(token.stdout).expect("a token");
    let server = Running::of(command.arg(&data));
    let mut program = Command::new(folder.path().join("plain"))
        .args(["-server", &server.base, "-token", token.trim()])
        .args(["-every", "2s", "-for", "10s"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    // Open until it has ended: it would end with it.
    let input = program.stdin.take();
    let ran = program.wait_with_output().expect("it ran");
    drop(input);
    let told = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success() && told.is_empty(), "{told}");

    // A token to pull with; and none is needed once the last is removed.
    let token = |args: &[&str]| {
        let lab = Command::new(env!("CARGO_BIN_EXE_lab"))
            .args(["pgo", "token"])
            .args(args)
            .arg("--data")
            .arg(&data)
            .output();
        assert!(lab.expect("it starts").status.success());
    };
    let told = server
        .ask(Method::GET, "/v1/services/pushes", Vec::new())
        .expect("an answer");
    assert_eq!(told.status, StatusCode::UNAUTHORIZED);
    token(&["remove", "pushes"]);
    let told = server
        .ask(Method::GET, "/v1/services/pushes", Vec::new())
        .expect("an answer");
    let service: serde_json::Value = serde_json::from_slice(&told.body).expect("JSON");
    // Of heaps, goroutines and locks the client heard no complaint; they are passed over.
    assert!(service["profiles"].as_i64() > Some(0), "{service}");
    assert!(service["passed_over"].as_i64() > Some(0), "{service}");
    build_with_what_comes_out(&folder, &server);
}

/// Go's own endpoint, fetched on a schedule.
#[test]
fn what_is_fetched_from_gos_endpoint_makes_a_faster_program() {
    let Some(folder) = program() else { return };
    let mut program = Command::new(folder.path().join("plain"))
        .args(["-serve", "127.0.0.1:0", "-for", "5m"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut url = String::new();
    let output = program.stdout.take().expect("piped");
    BufReader::new(output)
        .read_line(&mut url)
        .expect("it says where it is");
    let mut command = Command::new(env!("CARGO_BIN_EXE_lab"));
    command.args([
        "pgo",
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--samples",
        "200",
        "--data",
    ]);
    command.arg(folder.path().join("store"));
    let fetch = format!("pushes={}", url.trim());
    command.args([
        "--fetch",
        &fetch,
        "--fetch-every",
        "3s",
        "--fetch-for",
        "2s",
    ]);
    let server = Running::of(&mut command);
    let until = Instant::now() + Duration::from_secs(60);
    while server
        .ask(Method::GET, "/v1/services/pushes/default.pgo", Vec::new())
        .is_ok_and(|told| told.status != StatusCode::OK)
    {
        assert!(Instant::now() < until, "no version");
        std::thread::sleep(Duration::from_millis(200));
    }
    drop(program.stdin.take());
    let _ = program.wait();
    build_with_what_comes_out(&folder, &server);
}
