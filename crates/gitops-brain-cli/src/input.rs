//! Files, with `-` for stdin.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read as _},
    path::Path,
};

use crate::exit::Failure;

/// The most that is read of a file that is read whole.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

pub(crate) fn open(path: &Path) -> Result<Box<dyn BufRead>, Failure> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(BufReader::new(io::stdin())));
    }
    let file = fs::File::open(path).map_err(|error| cannot_read(path, &error))?;
    Ok(Box::new(BufReader::new(file)))
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| cannot_read(path, &error))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Failure::usage(format!("{} is larger than 4 MiB", path.display())));
    }
    Ok(bytes)
}

/// A key, without the line break that editors and `echo` put at its end.
pub(crate) fn read_key(path: &Path) -> Result<String, Failure> {
    let bytes = read(path)?;
    let key = String::from_utf8(bytes)
        .map_err(|_| Failure::usage(format!("the key in {} is not UTF-8", path.display())))?;
    let key = key.trim();
    if key.is_empty() {
        return Err(Failure::usage(format!("the key in {} is empty", path.display())));
    }
    Ok(key.to_owned())
}

pub(crate) fn cannot_read(path: &Path, error: &io::Error) -> Failure {
    Failure::usage(format!("cannot read {}: {error}", path.display()))
}
