//! Classic BPF programs, tried on a socket of ours: no packet leaves this process.
//!
//! The text form is that of `tcpdump -ddd`: the number of instructions, then one a line as four
//! decimal numbers, `code jt jf k` (struct sock_filter, include/uapi/linux/filter.h). Lines that
//! begin with `#` are passed over.

use std::{
    io,
    os::{fd::AsRawFd as _, unix::net::UnixDatagram},
};

use crate::verdict::Failure;

/// Instructions that the kernel takes at most (BPF_MAXINSNS).
const MOST: usize = 4096;

/// A classic BPF program.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Filter(Vec<Instruction>);

/// One instruction.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Instruction {
    /// What to do.
    pub code: u16,
    /// Instructions to skip when a test holds.
    pub jt: u8,
    /// Instructions to skip when it does not.
    pub jf: u8,
    /// The operand.
    pub k: u32,
}

impl Filter {
    /// Reads the text form.
    ///
    /// # Errors
    /// [`Failure::Learner`], naming the line.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let mut lines = text
            .lines()
            .enumerate()
            .map(|(at, line)| (at + 1, line.trim()))
            .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let wrong = |at: usize, what: String| Failure::learner(format!("line {at}: {what}"));
        let count: usize = match lines.next() {
            Some((at, line)) => line.parse().map_err(|_| {
                wrong(
                    at,
                    format!("the first line is the number of instructions, not `{line}`."),
                )
            })?,
            None => return Err(Failure::learner("the filter is empty.")),
        };
        let mut instructions = Vec::new();
        for (at, line) in lines {
            let instruction = instruction(line).ok_or_else(|| {
                wrong(
                    at,
                    format!("an instruction is four numbers, `code jt jf k`, not `{line}`."),
                )
            })?;
            instructions.push(instruction);
        }
        if instructions.len() != count || count == 0 || count > MOST {
            return Err(Failure::learner(format!(
                "the first line says {count} instructions and there are {}; 1 to {MOST} are taken.",
                instructions.len()
            )));
        }
        Ok(Self(instructions))
    }

    /// The instructions in order.
    pub fn instructions(&self) -> &[Instruction] {
        &self.0
    }
}

fn instruction(line: &str) -> Option<Instruction> {
    let mut words = line.split_whitespace();
    let found = Instruction {
        code: words.next()?.parse().ok()?,
        jt: words.next()?.parse().ok()?,
        jf: words.next()?.parse().ok()?,
        k: words.next()?.parse().ok()?,
    };
    words.next().is_none().then_some(found)
}

/// A pair of connected datagram sockets, a filter on the receiving one. A packet's bytes begin
/// with what was sent: there is no header in front.
#[derive(Debug)]
pub struct Gate {
    sender: UnixDatagram,
    receiver: UnixDatagram,
}

impl Gate {
    /// Attaches the filter (SO_ATTACH_FILTER).
    ///
    /// # Errors
    /// [`Failure::Learner`] when the kernel refuses the filter.
    pub fn new(filter: &Filter) -> Result<Self, Failure> {
        let (sender, receiver) = UnixDatagram::pair()?;
        receiver.set_nonblocking(true)?;
        let mut raw: Vec<libc::sock_filter> = filter
            .0
            .iter()
            .map(|&Instruction { code, jt, jf, k }| libc::sock_filter { code, jt, jf, k })
            .collect();
        let program = libc::sock_fprog {
            len: u16::try_from(raw.len()).map_err(io::Error::other)?,
            filter: raw.as_mut_ptr(),
        };
        // SAFETY: `program` points at `len` instructions, which outlive the call; the kernel copies them.
        let status = unsafe {
            libc::setsockopt(
                receiver.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_ATTACH_FILTER,
                (&raw const program).cast(),
                size_of::<libc::sock_fprog>() as libc::socklen_t,
            )
        };
        if status < 0 {
            let error = io::Error::last_os_error();
            return Err(if error.raw_os_error() == Some(libc::EINVAL) {
                Failure::learner(
                    "the kernel refuses the filter: an unknown code, a jump past the end, a division \
                     by zero, or a last instruction that is no ret.",
                )
            } else {
                error.into()
            });
        }
        Ok(Self { sender, receiver })
    }

    /// Sends a packet. Gives how many of its bytes came through, `None` when it was dropped.
    ///
    /// # Errors
    /// [`Failure::Infrastructure`] when the sockets fail.
    pub fn pass(&self, packet: &[u8]) -> Result<Option<usize>, Failure> {
        self.sender.send(packet)?;
        let mut buffer = vec![0; packet.len() + 1];
        match self.receiver.recv(&mut buffer) {
            Ok(length) => Ok(Some(length)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The filter as the kernel has it (SO_GET_FILTER).
    ///
    /// # Errors
    /// [`Failure::Infrastructure`] when the kernel does not tell.
    pub fn attached(&self) -> Result<Filter, Failure> {
        attached(&self.receiver)
    }
}

fn attached(socket: &UnixDatagram) -> Result<Filter, Failure> {
    let mut raw = vec![
        libc::sock_filter {
            code: 0,
            jt: 0,
            jf: 0,
            k: 0
        };
        MOST
    ];
    // Counted in instructions, not bytes (net/core/filter.c: sk_get_filter).
    let mut count = MOST as libc::socklen_t;
    // SAFETY: `raw` has room for `count` instructions, and the kernel writes no more than that.
    let status = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_GET_FILTER,
            raw.as_mut_ptr().cast(),
            &raw mut count,
        )
    };
    if status < 0 {
        return Err(io::Error::last_os_error().into());
    }
    raw.truncate(count as usize);
    Ok(Filter(
        raw.iter()
            .map(|raw| Instruction {
                code: raw.code,
                jt: raw.jt,
                jf: raw.jf,
                k: raw.k,
            })
            .collect(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps three bytes of packets whose first byte is even.
    const EVEN: &str = "# even\n4\n48 0 0 0\n69 1 0 1\n6 0 0 3\n6 0 0 0\n";

    #[test]
    fn a_filter_judges_packets() -> Result<(), Failure> {
        let gate = Gate::new(&Filter::parse(EVEN)?)?;
        let passed: Vec<Option<usize>> = [&b"\x02abcd"[..], b"\x03abcd", b"\x04a", b""]
            .iter()
            .map(|packet| gate.pass(packet))
            .collect::<Result<_, _>>()?;
        // A load past the end of the packet drops it.
        assert_eq!(passed, [Some(3), None, Some(2), None]);
        Ok(())
    }

    #[test]
    fn the_kernel_gives_back_what_was_attached() -> Result<(), Failure> {
        let filter = Filter::parse(EVEN)?;
        assert_eq!(Gate::new(&filter)?.attached()?, filter);
        Ok(())
    }

    #[test]
    fn what_the_kernel_refuses_is_the_learners_to_mend() -> Result<(), Failure> {
        let endless = Filter::parse("1\n48 0 0 0\n")?;
        assert!(matches!(Gate::new(&endless), Err(Failure::Learner(_))));
        Ok(())
    }

    #[test]
    fn mistakes_in_the_text_are_named() {
        for (text, expected) in [
            ("", "empty"),
            ("ld [0]\n", "line 1: the first line is the number"),
            ("1\nret\n", "line 2: an instruction is four numbers"),
            ("1\n6 0 0 0 0\n", "line 2"),
            ("2\n6 0 0 0\n", "says 2 instructions and there are 1"),
            ("1\n6 0 256 0\n", "line 2"),
        ] {
            let message =
                Filter::parse(text).map_or_else(|error| error.to_string(), |_| String::new());
            assert!(message.contains(expected), "{text:?}: {message}");
        }
    }
}
