//! Where results are printed.
//!
//! A reader that has gone away (`| head`) is no reason to stop: what is being waited for still
//! decides the exit code. Any other trouble with the output is told at the end.

use std::io::{self, IsTerminal as _, Write};

use crate::exit::Failure;

/// Stdout or stderr, a line at a time.
pub(crate) struct Out {
    writer: Box<dyn Write + Send>,
    trouble: Option<io::Error>,
    pub(crate) is_terminal: bool,
}

impl std::fmt::Debug for Out {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Out").field("trouble", &self.trouble).finish_non_exhaustive()
    }
}

impl Out {
    pub(crate) fn stdout() -> Self {
        Self::new(Box::new(io::stdout()), io::stdout().is_terminal())
    }

    pub(crate) fn stderr() -> Self {
        Self::new(Box::new(io::stderr()), io::stderr().is_terminal())
    }

    fn new(writer: Box<dyn Write + Send>, is_terminal: bool) -> Self {
        Self { writer, trouble: None, is_terminal }
    }

    pub(crate) fn line(&mut self, line: impl AsRef<str>) {
        if self.trouble.is_none() {
            let line = line.as_ref();
            let mut bytes = Vec::with_capacity(line.len() + 1);
            bytes.extend_from_slice(line.as_bytes());
            bytes.push(b'\n');
            let written = self.writer.write_all(&bytes).and_then(|()| self.writer.flush());
            self.trouble = written.err();
        }
    }

    /// Ends the output: tells of trouble, unless the reader only went away.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        match self.trouble {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Failure::internal(format!("cannot write the output: {error}")))
            }
            _ => Ok(()),
        }
    }
}
