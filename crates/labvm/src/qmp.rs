//! QEMU's own protocol, as far as we speak it (docs/interop/qmp-spec): commands with their answers,
//! and the event that tells why a guest stopped.

use std::{
    io::{self, BufRead as _, BufReader, Write as _},
    mem::MaybeUninit,
    os::{fd::BorrowedFd, unix::net::UnixStream},
    time::Duration,
};

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use serde_json::{Value, json};

/// A line of QEMU's is short; one that is longer is not worth having.
const LINE: usize = 1 << 20;

fn line_of(command: &str, arguments: &Value) -> String {
    format!("{}\n", json!({"execute": command, "arguments": arguments}))
}

/// A connection.
#[derive(Debug)]
pub struct Qmp {
    lines: BufReader<UnixStream>,
    /// Why the guest stopped, once it has (qapi/run-state.json, `ShutdownCause`).
    stopped: Option<String>,
}

impl Qmp {
    /// Greets QEMU.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn greet(stream: UnixStream, patience: Duration) -> io::Result<Self> {
        stream.set_read_timeout(Some(patience))?;
        let mut qmp = Self {
            lines: BufReader::new(stream),
            stopped: None,
        };
        qmp.next()?;
        qmp.ask("qmp_capabilities", json!({}))?;
        Ok(qmp)
    }

    /// Gives a command and waits for the answer.
    ///
    /// # Errors
    /// When QEMU refuses, is gone, or takes too long.
    pub fn ask(&mut self, command: &str, arguments: Value) -> io::Result<Value> {
        self.lines
            .get_mut()
            .write_all(line_of(command, &arguments).as_bytes())?;
        self.answer(command)
    }

    /// Hands a file over, which QEMU then knows as `fd:NAME`.
    ///
    /// # Errors
    /// As [`Qmp::ask`].
    pub fn give(&mut self, name: &str, file: BorrowedFd<'_>) -> io::Result<()> {
        let line = line_of("getfd", &json!({ "fdname": name }));
        let files = [file];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut along = SendAncillaryBuffer::new(&mut space);
        along.push(SendAncillaryMessage::ScmRights(&files));
        let sent = sendmsg(
            self.lines.get_ref(),
            &[io::IoSlice::new(line.as_bytes())],
            &mut along,
            SendFlags::NOSIGNAL,
        )?;
        // What did not fit into the socket's buffer, which holds far more than a line.
        self.lines.get_mut().write_all(&line.as_bytes()[sent..])?;
        self.answer("getfd").map(drop)
    }

    fn answer(&mut self, command: &str) -> io::Result<Value> {
        loop {
            let message = self.next()?;
            if let Some(answer) = message.get("return") {
                return Ok(answer.clone());
            }
            if let Some(error) = message.get("error") {
                let why = error["desc"].as_str().unwrap_or("no reason");
                return Err(io::Error::other(format!("{command}: {why}")));
            }
        }
    }

    /// Waits until QEMU has ended. Returns why the guest stopped, if QEMU said so.
    pub fn until_stopped(mut self) -> Option<String> {
        let _ = self.lines.get_ref().set_read_timeout(None);
        while self.stopped.is_none() && self.next().is_ok() {}
        self.stopped
    }

    fn next(&mut self) -> io::Result<Value> {
        let mut line = Vec::new();
        let read = io::Read::take(&mut self.lines, LINE as u64).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let message: Value = serde_json::from_slice(&line).map_err(io::Error::other)?;
        if message["event"] == "SHUTDOWN" {
            self.stopped = message["data"]["reason"].as_str().map(str::to_owned);
        }
        Ok(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_between_a_command_and_its_answer_are_kept() {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        let qemu = std::thread::spawn(move || {
            let mut lines = BufReader::new(theirs.try_clone().expect("a copy")).lines();
            let mut to = theirs;
            let mut say = |text: &str| writeln!(to, "{text}").expect("written");
            say(r#"{"QMP": {"version": {}}}"#);
            lines.next();
            say(r#"{"return": {}}"#);
            lines.next();
            say(r#"{"event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-reset"}}"#);
            say(r#"{"error": {"class": "GenericError", "desc": "too late"}}"#);
        });
        let mut qmp = Qmp::greet(ours, Duration::from_secs(10)).expect("greeted");
        let error = qmp.ask("cont", json!({})).expect_err("refused");
        assert_eq!(error.to_string(), "cont: too late");
        assert_eq!(qmp.until_stopped().as_deref(), Some("guest-reset"));
        qemu.join().expect("it ends");
    }
}
