//! Which commit is meant, and what its checkout can prove of it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use gitops_brain::CommitId;

use crate::{args::Global, exit::Failure, git::Checkout};

/// The largest sum of commit objects that is sent at once, well under what a server takes.
const MAX_OBJECT_BYTES: usize = 1024 * 1024;

/// The most commit objects that are sent at once.
const MAX_OBJECTS: usize = 500;

/// A commit, and the checkout that it was found in.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) commit: CommitId,
    /// Or why there is none.
    pub(crate) checkout: Result<Checkout, String>,
}

impl Found {
    /// Finds the commit that a text names. A full id needs no checkout.
    pub(crate) fn find(text: &str, global: &Global) -> Result<Self, Failure> {
        let checkout = Checkout::open(&global.checkout);
        if let Ok(commit) = text.parse() {
            return Ok(Self { commit, checkout });
        }
        let resolved = match &checkout {
            Ok(checkout) => checkout.resolve(text).map_err(|why| {
                let path = checkout.path().display();
                Failure::usage(format!("`{text}` is no commit of the checkout at {path}: {why}"))
            }),
            Err(why) => Err(Failure::usage(why.clone())),
        };
        match resolved {
            Ok(commit) => Ok(Self { commit, checkout }),
            Err(failure) => {
                Err(failure
                    .remedy("pass a full commit id, or the gitops repository's path with -C"))
            }
        }
    }

    /// The recent commits in raw form, or why there are none.
    pub(crate) fn recent(&self) -> Result<Vec<String>, String> {
        let checkout = self.checkout.as_ref().map_err(Clone::clone)?;
        let objects = checkout.recent(self.commit).map_err(|why| {
            format!(
                "{} is not in the checkout at {}: {why}",
                self.commit,
                checkout.path().display()
            )
        })?;
        Ok(batches(objects).into_iter().next().unwrap_or_default())
    }
}

/// Raw objects as a request carries them, in requests of a decent size.
pub(crate) fn batches(objects: Vec<Vec<u8>>) -> Vec<Vec<String>> {
    let mut batches = Vec::new();
    let mut batch = Vec::new();
    let mut bytes = 0;
    for object in objects {
        if batch.len() >= MAX_OBJECTS || bytes + object.len() > MAX_OBJECT_BYTES {
            batches.push(std::mem::take(&mut batch));
            bytes = 0;
        }
        bytes += object.len();
        batch.push(STANDARD.encode(object));
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
    batches
}
