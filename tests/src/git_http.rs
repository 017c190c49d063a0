//! Git repositories over HTTP on a loopback port: git's own `http-backend`, behind a few lines that
//! speak HTTP.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use tempfile::TempDir;

/// A git server with repositories that anybody may push to.
#[derive(Debug)]
pub struct GitServer {
    folder: TempDir,
    url: String,
}

impl GitServer {
    /// Starts a server on a port of its own. It lives as long as the process.
    ///
    /// # Errors
    ///
    /// If there is no folder or no port to be had.
    pub fn start() -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}", listener.local_addr()?);
        let root = folder.path().to_owned();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let root = root.clone();
                // A client that goes away is part of what is tested.
                thread::spawn(move || serve(&stream, &root));
            }
        });
        Ok(Self { folder, url })
    }

    /// Makes a repository with these files in the first commit on `main`; its address.
    ///
    /// # Errors
    ///
    /// If git fails.
    pub fn repository(&self, name: &str, files: &[(&str, &str)]) -> io::Result<String> {
        let bare = self.bare(name);
        fs::create_dir_all(&bare)?;
        git(&bare, &["init", "--quiet", "--bare", "--initial-branch=main"])?;
        git(&bare, &["config", "http.receivepack", "true"])?;
        let work = tempfile::tempdir()?;
        for (path, content) in files {
            let path = work.path().join(path);
            fs::create_dir_all(path.parent().unwrap_or(work.path()))?;
            fs::write(path, content)?;
        }
        git(work.path(), &["init", "--quiet", "--initial-branch=main"])?;
        git(work.path(), &["add", "."])?;
        git(work.path(), &["commit", "--quiet", "--message", "The beginning"])?;
        let url = format!("{}/{name}", self.url);
        git(work.path(), &["push", "--quiet", &url, "main"])?;
        Ok(url)
    }

    /// The folder of a repository.
    #[must_use]
    pub fn bare(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// What git says in a folder, whatever the machine's configuration is.
///
/// # Errors
///
/// If git fails, with what it says.
pub fn git(folder: &Path, args: &[&str]) -> io::Result<String> {
    let mut command = Command::new("git");
    plain(&mut command);
    let output = command.arg("-C").arg(folder).args(args).output()?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        return Err(io::Error::other(format!("git {args:?}: {stderr}")));
    }
    String::from_utf8(output.stdout).map(|text| text.trim().to_owned()).map_err(io::Error::other)
}

/// Takes out of a command's environment what would change how git behaves, and names somebody who
/// commits.
pub fn plain(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("GIT_") {
            command.env_remove(name);
        }
    }
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "test");
        command.env(format!("GIT_{role}_EMAIL"), "test@example.com");
    }
}

fn serve(stream: &TcpStream, root: &Path) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (Some(method), Some(target)) = (words.next(), words.next()) else { return Ok(()) };
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut command = Command::new("git");
    plain(&mut command);
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("REQUEST_METHOD", method)
        .env("REMOTE_USER", "test")
        .env("REMOTE_ADDR", "127.0.0.1");
    let mut body = Vec::new();
    let mut length = 0;
    let mut is_chunked = false;
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim().split_once(": ") else { break };
        match &*name.to_ascii_lowercase() {
            "content-length" => length = value.parse().map_err(io::Error::other)?,
            "transfer-encoding" => is_chunked = value == "chunked",
            "content-type" => drop(command.env("CONTENT_TYPE", value)),
            "content-encoding" => drop(command.env("HTTP_CONTENT_ENCODING", value)),
            "git-protocol" => drop(command.env("GIT_PROTOCOL", value)),
            "expect" => write!(&*stream, "HTTP/1.1 100 Continue\r\n\r\n")?,
            _ => {}
        }
    }
    if is_chunked {
        read_chunks(&mut reader, &mut body)?;
    } else {
        reader.take(length).read_to_end(&mut body)?;
    }
    command.env("CONTENT_LENGTH", body.len().to_string());
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        thread::spawn(move || stdin.write_all(&body));
    }
    let answer = child.wait_with_output()?.stdout;
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap_or(answer.len());
    let (head, body) = answer.split_at(end);
    let head = String::from_utf8_lossy(head);
    let status = head.lines().find_map(|line| line.strip_prefix("Status: ")).unwrap_or("200 OK");
    let mut stream = stream;
    write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\n{head}")?;
    stream.write_all(body)
}

fn read_chunks(reader: &mut impl BufRead, body: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let size = u64::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
        reader.by_ref().take(size).read_to_end(body)?;
        reader.read_line(&mut line)?;
        if size == 0 {
            return Ok(());
        }
    }
}
