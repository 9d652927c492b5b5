//! Services that differ in how they were built, doing the same work.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use labcheck::scratch::Scratch;
use pgo::ruler;

use super::Sample;
use crate::trouble::{OrTrouble as _, Outcome, Trouble};

/// A running service, with its own data if it keeps any.
pub struct Arm {
    sample: Sample,
    child: Child,
    address: String,
    _data: Scratch,
}

impl Arm {
    /// Starts a build of `sample`.
    pub fn start(sample: Sample, program: &Path) -> Outcome<Self> {
        let name = sample.name;
        let data =
            Scratch::new("service").or_infrastructure(|| "cannot make a data folder".to_owned())?;
        let mut command = Command::new(program);
        command.args(["serve", "--addr", "127.0.0.1:0"]);
        if sample.keeps_data {
            command.arg("--data").arg(data.path());
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .or_infrastructure(|| format!("cannot start the {name} service"))?;
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output)
                .read_line(&mut line)
                .or_infrastructure(|| format!("the {name} service says nothing"))?;
        }
        let address = line.trim().strip_prefix("listening on ").map(str::to_owned);
        let arm = Self {
            sample,
            child,
            address: address.unwrap_or_default(),
            _data: data,
        };
        if arm.address.is_empty() {
            return Err(Trouble::infrastructure(
                format!("the {name} service said {:?}", line.trim()),
                "",
            ));
        }
        Ok(arm)
    }

    /// Where it listens: host and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Gives it `requests` requests of the test load; returns the CPU time that they took, seconds.
    pub fn slice(&self, load: &Path, seed: u64, requests: u64) -> Outcome<f64> {
        let pid = self.child.id();
        let name = self.sample.name;
        let clock =
            || ruler::cpu_time(pid).or_infrastructure(|| format!("the {name} service is gone"));
        let before = clock()?;
        let output = Command::new(load)
            .args([
                "--addr",
                &self.address,
                "--seed",
                &seed.to_string(),
                "--mix",
                "test",
            ])
            .args(["--requests", &requests.to_string(), "--workers", "2"])
            .stdin(Stdio::null())
            .output()
            .or_infrastructure(|| "cannot start the load".to_owned())?;
        if !output.status.success() {
            return Err(Trouble::infrastructure(
                format!(
                    "the load failed: {}",
                    String::from_utf8_lossy(&output.stderr).trim()
                ),
                "",
            ));
        }
        Ok((clock()? - before).as_secs_f64())
    }
}

impl Drop for Arm {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// CPU time of each arm against the first, round by round.
pub struct Comparison {
    /// One list of ratios for each arm after the first.
    pub ratios: Vec<Vec<f64>>,
}

/// Lets every arm do the same slice of work in each round, in random order, for about `span`.
pub fn compare(
    arms: &[Arm],
    load: &Path,
    span: Duration,
    seed: u64,
    mut progress: impl FnMut(Duration),
) -> Outcome<Comparison> {
    let mut rng = fastrand::Rng::with_seed(seed);
    // Sized so that a slice takes about a third of a second of CPU. Every arm does the sizing and
    // the warming: one that held more data than the others would answer its queries more slowly.
    const TRIAL: u64 = 100;
    let costs = arms
        .iter()
        .map(|arm| arm.slice(load, seed, TRIAL))
        .collect::<Outcome<Vec<f64>>>()?;
    let cost = costs
        .first()
        .ok_or_else(|| Trouble::infrastructure("nothing to compare", ""))?
        .max(0.001);
    let requests = ((TRIAL as f64 * 0.35 / cost) as u64).clamp(50, 20_000);
    for arm in arms {
        arm.slice(load, seed, requests)?;
    }
    let mut ratios = vec![Vec::new(); arms.len() - 1];
    let begin = Instant::now();
    let mut round = 0;
    while begin.elapsed() < span || round < 8 {
        round += 1;
        let mut order: Vec<usize> = (0..arms.len()).collect();
        rng.shuffle(&mut order);
        let mut times = vec![0.0; arms.len()];
        for at in order {
            // The same requests for every arm of a round.
            times[at] = arms[at].slice(load, seed + round, requests)?;
        }
        for (list, time) in ratios.iter_mut().zip(&times[1..]) {
            list.push(time / times[0]);
        }
        progress(begin.elapsed().min(span));
    }
    Ok(Comparison { ratios })
}
