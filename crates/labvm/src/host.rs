//! The host's side of one guest: sends the job, listens to everything, and says how it ended.

use std::{
    io::{self, BufReader, BufWriter},
    os::unix::net::UnixStream,
    sync::mpsc::{self, RecvTimeoutError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crate::{
    Error,
    guest::ENTROPY,
    outcome::{Outcome, panic_of, ran_out_of_memory},
    protocol::{self, File, FromGuest, Job, ToGuest, Wrong},
    qemu::{Machine, Memory, Qemu, read_capped},
    qmp::Qmp,
    snapshot::{self, Snapshot},
};

/// What a guest may say on its console before it is ended: a check's guest says a few hundred bytes.
const CONSOLE: usize = 1 << 20;
/// What of it is kept.
const KEPT: usize = 128 << 10;
/// What a guest may send: lines of results, files that are handed in among them.
const LINES: usize = 32 << 20;

/// What to run in a guest.
#[derive(Debug)]
pub struct Order {
    /// For the check runner's standard input.
    pub plan: String,
    /// Modules to load, file names, in order.
    pub modules: Vec<String>,
    /// Laid out before the runner starts.
    pub files: Vec<File>,
}

/// How long a guest may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From the start until it waits for a job.
    pub boot: Duration,
    /// From then until it is done.
    pub work: Duration,
    /// Without any sign of life while it works.
    pub silence: Duration,
}

impl Limits {
    /// The limits of a machine on which everything takes `factor` times as long.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        let by = |limit: Duration| limit.mul_f64(factor.max(1.0));
        Self {
            boot: by(self.boot),
            work: by(self.work),
            silence: by(self.silence),
        }
    }
}

/// What came of it.
#[derive(Debug)]
pub struct Ran {
    /// How the guest ended.
    pub outcome: Outcome,
    /// What the check runner printed, line by line, as far as it can be believed.
    pub lines: Vec<String>,
    /// What the guest's kernel printed, beginning and end.
    pub console: String,
    /// From the start until the guest waited for the job.
    pub booted: Option<Duration>,
    /// From the start to the end.
    pub lasted: Duration,
}

/// Something that happened.
enum Event {
    Said(Result<FromGuest, Wrong>),
    /// From QEMU's own: why the guest stopped.
    Stopped(String),
    Console,
    ConsoleClosed,
}

/// Starts the machine, from `saved` if that is given, and has it carry out the order.
///
/// # Errors
/// When QEMU can't be started. All that can happen afterwards is an [`Outcome`].
pub fn run(
    machine: &Machine<'_>,
    saved: Option<&Snapshot>,
    order: &Order,
    limits: Limits,
) -> Result<Ran, Error> {
    let begin = Instant::now();
    let mut qemu = machine.start(saved.map_or(Memory::Empty, Memory::Saved))?;
    let mut guest = Guest::listen(&mut qemu, begin)?;
    let outcome = guest.converse(&qemu, saved.is_some(), order, limits);
    // A guest that is done is switching itself off; the others won't.
    qemu.end();
    let console = guest.console();
    let complaints = guest.complaints();
    let outcome = judge(outcome, &console, &complaints);
    Ok(Ran {
        outcome,
        lines: guest.lines,
        console,
        booted: guest.booted,
        lasted: begin.elapsed(),
    })
}

/// Whether a guest of this machine gets as far as waiting for a job.
pub fn comes_up(machine: &Machine<'_>, patience: Duration) -> bool {
    let limits = Limits {
        boot: patience,
        work: patience,
        silence: patience,
    };
    let up = || -> Result<bool, Error> {
        let mut qemu = machine.start(Memory::Empty)?;
        let mut guest = Guest::listen(&mut qemu, Instant::now())?;
        Ok(guest.greet(&qemu, false, limits).is_ok())
    };
    up().unwrap_or(false)
}

struct Guest {
    begin: Instant,
    port: UnixStream,
    /// For the thread that listens to QEMU itself.
    send: mpsc::Sender<Event>,
    events: mpsc::Receiver<Event>,
    console: Option<std::thread::JoinHandle<String>>,
    complaints: Option<std::thread::JoinHandle<String>>,
    nonce: String,
    lines: Vec<String>,
    bytes: usize,
    booted: Option<Duration>,
    port_closed: bool,
    console_closed: bool,
    /// Why QEMU says that the guest stopped.
    stopped: Option<String>,
}

impl Guest {
    /// Starts a thread for each stream.
    fn listen(qemu: &mut Qemu, begin: Instant) -> Result<Self, Error> {
        let broken = |error: std::io::Error| {
            Error::new(format!("cannot listen to a virtual machine: {error}"), "")
        };
        let (send, events) = mpsc::channel();
        let port = qemu.port.try_clone().map_err(broken)?;
        let mut reader = BufReader::with_capacity(1 << 16, port.try_clone().map_err(broken)?);
        let said = send.clone();
        std::thread::spawn(move || {
            loop {
                let message = protocol::next_of_guest(&mut reader);
                let last = message.is_err();
                if said.send(Event::Said(message)).is_err() || last {
                    return;
                }
            }
        });
        let console_says = send.clone();
        let console = qemu.console.take().map(|console| {
            std::thread::spawn(move || {
                let text = read_capped(console, KEPT, |total| {
                    if total > CONSOLE {
                        let _ = console_says.send(Event::Console);
                    }
                })
                .text();
                let _ = console_says.send(Event::ConsoleClosed);
                text
            })
        });
        let complaints = qemu.complaints.take().map(|complaints| {
            std::thread::spawn(move || read_capped(complaints, KEPT, |_| {}).text())
        });
        Ok(Self {
            begin,
            port,
            send,
            events,
            console,
            complaints,
            nonce: random_hex(),
            lines: Vec::new(),
            bytes: 0,
            booted: None,
            port_closed: false,
            console_closed: false,
            stopped: None,
        })
    }

    /// What the kernel printed; QEMU has ended.
    fn console(&mut self) -> String {
        self.console
            .take()
            .and_then(|thread| thread.join().ok())
            .unwrap_or_default()
    }

    fn complaints(&mut self) -> String {
        self.complaints
            .take()
            .and_then(|thread| thread.join().ok())
            .unwrap_or_default()
    }

    /// Waits until the guest waits for a job.
    fn greet(&mut self, qemu: &Qemu, saved: bool, limits: Limits) -> Result<(), Outcome> {
        let qmp = qemu
            .qmp
            .try_clone()
            .and_then(|stream| Qmp::greet(stream, limits.boot))
            .and_then(|mut qmp| {
                if saved {
                    snapshot::resume(&mut qmp, limits.boot)?;
                }
                Ok(qmp)
            });
        match qmp {
            // It has ended, and complains on its standard error. One that can't be restored does so too,
            // and may well start anew.
            Err(error) if !saved && has_hung_up(&error) => {
                return Err(Outcome::Qemu("it ended at once".into()));
            }
            Err(error) => return Err(Outcome::NeverReady(error.to_string())),
            Ok(qmp) => {
                let send = self.send.clone();
                std::thread::spawn(move || {
                    let why = qmp.until_stopped();
                    why.map(|why| send.send(Event::Stopped(why)))
                });
            }
        }
        // One that was saved said it before.
        if !saved {
            self.hello(limits)?;
        }
        self.booted = Some(self.begin.elapsed());
        Ok(())
    }

    fn converse(&mut self, qemu: &Qemu, saved: bool, order: &Order, limits: Limits) -> Outcome {
        if let Err(outcome) = self.greet(qemu, saved, limits) {
            return outcome;
        }
        // Until the guest has taken the whole job and says so, nothing of a learner's runs in it: what
        // goes wrong can go right the next time.
        if let Err(outcome) = self.hand_over(order, limits) {
            return outcome;
        }
        let deadline = Instant::now() + limits.work;
        loop {
            if Instant::now() >= deadline {
                return Outcome::TimeOut;
            }
            let silence = Instant::now() + limits.silence;
            let message = match self.next(deadline.min(silence)) {
                Err(Outcome::TimeOut) if silence < deadline => return Outcome::Silence,
                Err(outcome) => return outcome,
                Ok(message) => message,
            };
            if let Some(outcome) = self.take(message) {
                return outcome;
            }
        }
    }

    fn hand_over(&mut self, order: &Order, limits: Limits) -> Result<(), Outcome> {
        let sent = self
            .port
            .set_write_timeout(Some(limits.silence))
            .and_then(|()| self.send(order));
        match self.next(Instant::now() + limits.silence) {
            Ok(FromGuest::Broken { why }) => Err(Outcome::Broken(why)),
            Ok(message) if sent.is_ok() => match self.take(message) {
                None => Ok(()),
                Some(outcome) => Err(outcome),
            },
            Ok(_) => Err(Outcome::NeverReady("it did not take the job".into())),
            Err(outcome) => Err(Outcome::NeverReady(format!(
                "it did not take the job: {outcome}"
            ))),
        }
    }

    fn hello(&mut self, limits: Limits) -> Result<(), Outcome> {
        match self.next(Instant::now() + limits.boot) {
            Ok(FromGuest::Hello { .. }) => Ok(()),
            Ok(FromGuest::Broken { why }) => Err(Outcome::NeverReady(why)),
            Ok(_) => Err(Outcome::Forged("a message before the first one".into())),
            Err(Outcome::TimeOut) => Err(Outcome::NeverReady("it took too long".into())),
            Err(Outcome::Qemu(why)) => Err(Outcome::Qemu(why)),
            Err(other) => Err(Outcome::NeverReady(other.to_string())),
        }
    }

    /// The next message, or what happened instead.
    fn next(&mut self, deadline: Instant) -> Result<FromGuest, Outcome> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.events.recv_timeout(left) {
                Ok(Event::Said(Ok(message))) => return Ok(message),
                // The others will tell more about why.
                Ok(Event::Said(Err(Wrong::Closed | Wrong::Cut | Wrong::Io(_)))) => {
                    self.port_closed = true;
                }
                Ok(Event::Said(Err(wrong))) => return Err(Outcome::Forged(wrong.to_string())),
                Ok(Event::Stopped(why)) => self.stopped = Some(why),
                Ok(Event::Console) => return Err(Outcome::Flood("its console")),
                Ok(Event::ConsoleClosed) => self.console_closed = true,
                Err(RecvTimeoutError::Disconnected) => return Err(self.ending()),
                Err(RecvTimeoutError::Timeout) => return Err(Outcome::TimeOut),
            }
            // QEMU has ended once it has closed both; what it passed on before was read before.
            if self.port_closed && self.console_closed {
                return Err(self.ending());
            }
        }
    }

    /// How QEMU says that the guest ended (qapi/run-state.json, `ShutdownCause`).
    fn ending(&mut self) -> Outcome {
        // What QEMU said last may still be on its way.
        while let Ok(event) = self.events.recv_timeout(Duration::from_millis(200)) {
            if let Event::Stopped(why) = event {
                self.stopped = Some(why);
            }
        }
        match self.stopped.as_deref() {
            Some("guest-reset") => Outcome::Reset,
            Some("guest-shutdown") => Outcome::PowerOff,
            Some("guest-panic") => Outcome::Panic("its kernel gave up".into()),
            Some(other) => Outcome::Qemu(format!("it ended by {other}")),
            None => Outcome::Qemu("it ended".into()),
        }
    }

    fn send(&mut self, order: &Order) -> std::io::Result<()> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let job = Job {
            nonce: self.nonce.clone(),
            entropy: random(ENTROPY),
            time: (
                i64::try_from(now.as_secs()).unwrap_or(0),
                i64::from(now.subsec_nanos()),
            ),
            modules: order.modules.clone(),
            plan: order.plan.clone(),
        };
        let mut port = BufWriter::with_capacity(1 << 16, &self.port);
        protocol::send_to_guest(&mut port, &ToGuest::Job(job))?;
        for file in &order.files {
            protocol::send_file(&mut port, file)?;
        }
        protocol::send_to_guest(&mut port, &ToGuest::Go)
    }

    /// Takes a message of a guest at work; an outcome ends the conversation.
    fn take(&mut self, message: FromGuest) -> Option<Outcome> {
        let forged = |why: &str| Some(Outcome::Forged(why.to_owned()));
        // Each takes room, however little it says.
        self.bytes += 64;
        if self.bytes > LINES {
            return Some(Outcome::Flood("the connection"));
        }
        match message {
            FromGuest::Alive { nonce }
            | FromGuest::Line { nonce, .. }
            | FromGuest::Done { nonce, .. }
                if nonce != self.nonce =>
            {
                forged("a message without the word that only our part knows")
            }
            FromGuest::Alive { .. } => None,
            FromGuest::Line { number, .. } if number != self.lines.len() as u64 => {
                forged("lines that are out of order")
            }
            FromGuest::Line { text, .. } => {
                self.bytes += text.len();
                if self.bytes > LINES {
                    return Some(Outcome::Flood("the connection"));
                }
                self.lines.push(text);
                None
            }
            FromGuest::Done { lines, .. } if lines != self.lines.len() as u64 => {
                forged("fewer lines than it says")
            }
            FromGuest::Done { status, .. } => Some(Outcome::Done(status)),
            FromGuest::Broken { why } => Some(Outcome::Broken(why)),
            FromGuest::Hello { .. } => forged("its first message again"),
        }
    }
}

fn has_hung_up(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    [BrokenPipe, ConnectionReset, UnexpectedEof].contains(&error.kind())
}

/// What the console adds to an outcome.
fn judge(outcome: Outcome, console: &str, complaints: &str) -> Outcome {
    let panic = panic_of(console);
    match outcome {
        Outcome::NeverReady(why) => Outcome::NeverReady(panic.unwrap_or(why)),
        Outcome::Qemu(why) if !complaints.trim().is_empty() => {
            Outcome::Qemu(format!("{why}: {}", complaints.trim()))
        }
        // The runner itself ended by a signal: nobody but the kernel sends it one.
        Outcome::Done(None) if ran_out_of_memory(console) => Outcome::OutOfMemory,
        Outcome::Reset | Outcome::PowerOff | Outcome::Silence | Outcome::TimeOut => match panic {
            Some(why) if ran_out_of_memory(&why) || why.contains("deadlocked on memory") => {
                Outcome::OutOfMemory
            }
            Some(why) => Outcome::Panic(why),
            None => outcome,
        },
        other => other,
    }
}

/// Bytes of the kernel's generator.
fn random(count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    let mut filled = 0;
    while filled < count {
        match rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty()) {
            Ok(n) => filled += n,
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    bytes
}

fn random_hex() -> String {
    random(16)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
