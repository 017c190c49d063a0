//! A server in a process of its own, and what it costs.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::http::Failure;

/// A server that runs until this is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// Where it listens, as `127.0.0.1:8080`.
    pub address: String,
}

impl Process {
    /// Starts a program that says where it listens: `listening on http://…`.
    ///
    /// # Errors
    ///
    /// If it cannot be started, or says something else.
    pub fn start(command: &mut Command) -> Result<Self, Failure> {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut line = String::new();
        let stdout = child.stdout.take().ok_or("no output")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let address = line.trim().strip_prefix("listening on http://");
        let address = address.ok_or_else(|| format!("{command:?} said {line:?}"))?.to_owned();
        Ok(Self { child, address })
    }

    /// The processor time that it has used.
    ///
    /// # Errors
    ///
    /// If it is gone, or this is not Linux.
    pub fn cpu(&self) -> Result<Duration, Failure> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name stands in parentheses, and may have anything in it. A tick is 10 ms everywhere.
        let (_, rest) = stat.rsplit_once(')').ok_or("another form of /proc")?;
        let mut fields = rest.split_whitespace().skip(11).map(str::parse::<u64>);
        let (user, system) = (fields.next().ok_or("short")??, fields.next().ok_or("short")??);
        Ok(Duration::from_millis(10 * (user + system)))
    }

    /// How much memory it holds, in bytes.
    ///
    /// # Errors
    ///
    /// If it is gone, or this is not Linux.
    pub fn memory(&self) -> Result<u64, Failure> {
        memory(self.child.id())
    }
}

/// How much memory a process holds, in bytes.
///
/// # Errors
///
/// If it is gone, or this is not Linux.
pub fn memory(process: u32) -> Result<u64, Failure> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()).ok_or("no VmRSS")?;
    Ok(kilobytes.parse::<u64>()? * 1024)
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
