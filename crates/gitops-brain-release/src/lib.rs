//! Releases in a gitops repository.
//!
//! A release changes what is wanted: it sets an image in the repository's YAML, commits that, and
//! pushes it. [`Repository`] does so without a working tree, so that it works beside whatever a
//! checkout holds, and makes the change again on the new head whenever somebody else was faster.
//! Files keep every byte that is not part of the value that was set: comments, quotes, order and
//! line ends.
//!
//! ```no_run
//! use gitops_brain_release::{Change, Message, Repository, Set};
//!
//! let repository = Repository::clone("https://git.example.com/gitops.git", None)?;
//! let change = Change {
//!     sets: vec![Set {
//!         file: "apps/web.yaml".to_owned(),
//!         document: Some("Deployment/web".parse()?),
//!         path: "spec.template.spec.containers[name=web].image".parse()?,
//!         value: "ghcr.io/shop/web:1.4.0".to_owned(),
//!     }],
//!     ..Change::default()
//! };
//! let message = Message::new("web", "1.4.0")?.actor("ada")?;
//! println!("{}", repository.release(&change, &message)?.commit());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Git is asked through the machine's `git` program, with its configuration and credentials.

#![forbid(unsafe_code)]

mod change;
mod edit;
mod error;
mod git;
mod history;
mod image;
mod kustomization;
mod message;
mod path;
mod policy;
mod repository;
mod rollback;
mod scalar;
mod yaml;

pub use crate::{
    change::{Change, KustomizationImage, PolicyImage, Set},
    error::ReleaseError,
    git::{Git, GitError},
    history::Release,
    image::{Image, ImageError},
    message::{Message, MessageError},
    path::{DocumentName, PathError, YamlPath},
    repository::{Pushed, Released, Repository},
};
