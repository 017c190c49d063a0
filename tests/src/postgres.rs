//! A PostgreSQL server of the test's own: in a folder and on a port that nothing else uses.

use std::{
    env, fs, io,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// How long it may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whom it runs as if the tests run as root: it refuses to run as root itself.
const USER: &str = "postgres";

/// A server with its data in a folder of its own. It ends when this is dropped, and the data with it.
#[derive(Debug)]
pub struct Postgres {
    programs: PathBuf,
    folder: TempDir,
    port: u16,
    child: Option<Child>,
    databases: AtomicU32,
}

impl Postgres {
    /// Makes a server and starts it.
    ///
    /// # Errors
    ///
    /// If PostgreSQL is not installed (`make debian` does), or does not start.
    pub fn start() -> io::Result<Self> {
        let programs = programs()?;
        let folder = tempfile::Builder::new().prefix("gitops-brain-postgres-").tempdir()?;
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let mut server = Self { programs, folder, port, child: None, databases: AtomicU32::new(0) };
        if rustix::process::geteuid().is_root() {
            run(Command::new("chown").arg(USER).arg(server.folder.path()))?;
        }
        let data = server.data();
        run(server
            .program("initdb")
            .args(["--auth=trust", "--username=postgres"])
            .args(["--encoding=UTF8", "--no-sync", "--pgdata"])
            .arg(data))?;
        server.resume()?;
        Ok(server)
    }

    /// The URL of a new, empty database.
    ///
    /// # Errors
    ///
    /// If it cannot be made.
    pub fn database(&self) -> io::Result<String> {
        let name = format!("test{}", self.databases.fetch_add(1, Ordering::Relaxed));
        run(self
            .program("createdb")
            .args(["--host=127.0.0.1", "--username=postgres"])
            .args([&format!("--port={}", self.port), &name]))?;
        Ok(format!("postgres://postgres@127.0.0.1:{}/{name}", self.port))
    }

    /// The port on which it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Runs SQL in a database of [`Postgres::database`], and returns what it prints.
    ///
    /// # Errors
    ///
    /// If the database refuses it.
    pub fn sql(&self, url: &str, sql: &str) -> io::Result<String> {
        let output = self.program("psql").args(["--no-psqlrc", "-tA", "-c", sql, url]).output()?;
        if !output.status.success() {
            return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Stops it at once, as if the machine had lost power; [`Postgres::resume`] starts it again.
    ///
    /// # Errors
    ///
    /// If it does not stop.
    pub fn halt(&mut self) -> io::Result<()> {
        self.signal(Signal::QUIT)
    }

    /// Starts it again.
    ///
    /// # Errors
    ///
    /// If it does not start.
    pub fn resume(&mut self) -> io::Result<()> {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.path().join("log"))?;
        let mut command = self.program("postgres");
        command.arg("-D").arg(self.data()).arg("-k").arg(self.folder.path());
        command.args(["-p", &self.port.to_string(), "-c", "listen_addresses=127.0.0.1"]);
        // What ends here is the process, and never the machine.
        command.args(["-c", "max_connections=100", "-c", "fsync=off"]);
        self.child = Some(command.stdout(Stdio::null()).stderr(log).spawn()?);
        let end = Instant::now() + PATIENCE;
        loop {
            let mut ready = self.program("pg_isready");
            ready.args(["--quiet", "--host=127.0.0.1", &format!("--port={}", self.port)]);
            if ready.status()?.success() {
                return Ok(());
            }
            if Instant::now() > end {
                let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
                return Err(io::Error::other(format!("PostgreSQL did not start:\n{log}")));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn signal(&mut self, signal: Signal) -> io::Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        // The process may stand behind the one that changed the user.
        let pid = fs::read_to_string(self.data().join("postmaster.pid"))?;
        let pid = pid.lines().next().and_then(|pid| pid.parse().ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            kill_process(pid, signal)?;
        }
        child.wait().map(drop)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// One of PostgreSQL's programs, as a user that it accepts.
    fn program(&self, name: &str) -> Command {
        let path = self.programs.join(name);
        let mut command = if rustix::process::geteuid().is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", USER, "--regid", USER, "--clear-groups"]).arg(path);
            command
        } else {
            Command::new(path)
        };
        command.current_dir(self.folder.path()).env_remove("PGOPTIONS");
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // There is nobody to tell if it fails.
        let _ = self.signal(Signal::QUIT);
    }
}

fn run(command: &mut Command) -> io::Result<()> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(io::Error::other(format!("{command:?}: {told}")))
}

/// Where PostgreSQL's programs are: `GITOPS_BRAIN_POSTGRES`, or where Debian has the newest of them, or
/// where `pg_config` says.
fn programs() -> io::Result<PathBuf> {
    if let Some(folder) = env::var_os("GITOPS_BRAIN_POSTGRES") {
        return Ok(folder.into());
    }
    let newest = fs::read_dir("/usr/lib/postgresql").ok().and_then(|versions| {
        let number = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
        versions.flatten().map(|version| version.path()).max_by_key(|path| number(path))
    });
    if let Some(version) = newest {
        return Ok(version.join("bin"));
    }
    let output = Command::new("pg_config").arg("--bindir").output();
    match output {
        Ok(output) if output.status.success() => {
            Ok(String::from_utf8_lossy(&output.stdout).trim().into())
        }
        _ => Err(io::Error::new(
            io::ErrorKind::NotFound,
            "PostgreSQL is not installed: `make debian` does that",
        )),
    }
}
