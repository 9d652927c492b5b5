//! The service that is looked at: busy/main.go.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixStream},
    },
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, bail};

/// It, waiting for orders.
pub struct Target {
    pid: u32,
    stream: BufReader<UnixStream>,
    /// Where it is ours.
    child: Option<Child>,
}

impl Target {
    /// One that runs, by its process id and the name of its socket.
    pub fn connect(pid: u32, socket: &str) -> anyhow::Result<Self> {
        let address = SocketAddr::from_abstract_name(socket)?;
        let stream = UnixStream::connect_addr(&address).context("the service does not answer")?;
        Ok(Self {
            pid,
            stream: BufReader::new(stream),
            child: None,
        })
    }

    /// Starts one from its program.
    pub fn start(program: &Path) -> anyhow::Result<Self> {
        let socket = format!("probelab-overhead-{}", std::process::id());
        let mut child = Command::new(program)
            .args(["-socket", &socket, "-cpu", "500", "-sleep", "50"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let output = child.stdout.take().context("it has no output")?;
        let mut lines = BufReader::new(output).lines();
        if lines.next().transpose()?.as_deref() != Some("ready") {
            bail!("{} does not say that it is ready", program.display());
        }
        // What it tells of each slice, nobody reads here.
        std::thread::spawn(move || lines.for_each(drop));
        let mut target = Self::connect(child.id(), &socket)?;
        target.child = Some(child);
        Ok(target)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Has it do one slice of work, the same each time, and waits until it is done.
    pub fn work(&mut self) -> anyhow::Result<()> {
        match &*self.order("work")? {
            "done" => Ok(()),
            other => bail!("the service answers `{other}`"),
        }
    }

    /// Has it profile itself.
    pub fn profile(&mut self, hz: u32) -> anyhow::Result<()> {
        self.order(&format!("profile {hz}")).map(drop)
    }

    /// Ends that, and gives the profile.
    pub fn stop_profile(&mut self) -> anyhow::Result<Vec<u8>> {
        let answer = self.order("stop")?;
        let size = answer.strip_prefix("profile ").context("no profile")?;
        let mut bytes = vec![0; size.parse()?];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn order(&mut self, order: &str) -> anyhow::Result<String> {
        writeln!(self.stream.get_mut(), "{order}")?;
        let mut answer = String::new();
        if self.stream.read_line(&mut answer)? == 0 {
            bail!("the service is gone");
        }
        Ok(answer.trim().to_owned())
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
