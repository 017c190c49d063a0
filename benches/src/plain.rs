//! The floors of taking in an event, which nothing that reads and verifies can go below: an HMAC over the
//! body, and a parse into a borrowed struct.

use std::{borrow::Cow, collections::BTreeMap};

use serde::Deserialize;

/// The event as serde_json reads it without copying, and checks nothing else.
#[derive(Debug, Deserialize)]
#[non_exhaustive]
pub struct PlainEvent<'a> {
    /// What it is about.
    #[serde(borrow, rename = "involvedObject")]
    pub involved_object: PlainObject<'a>,
    /// `info` or `error`.
    #[serde(borrow)]
    pub severity: Cow<'a, str>,
    /// In RFC 3339.
    #[serde(borrow)]
    pub timestamp: Cow<'a, str>,
    /// For people.
    #[serde(borrow)]
    pub message: Cow<'a, str>,
    /// What happened.
    #[serde(borrow)]
    pub reason: Cow<'a, str>,
    /// The revision, and what else was given.
    #[serde(borrow)]
    pub metadata: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
}

/// The object of a [`PlainEvent`].
#[derive(Debug, Deserialize)]
#[non_exhaustive]
#[serde(rename_all = "camelCase")]
pub struct PlainObject<'a> {
    /// As `Kustomization`.
    #[serde(borrow)]
    pub kind: Cow<'a, str>,
    /// Its namespace.
    #[serde(borrow)]
    pub namespace: Cow<'a, str>,
    /// Its name.
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    /// Its identity.
    #[serde(borrow)]
    pub uid: Cow<'a, str>,
    /// As `kustomize.toolkit.fluxcd.io/v1`.
    #[serde(borrow)]
    pub api_version: Cow<'a, str>,
    /// Grows with each change.
    #[serde(borrow)]
    pub resource_version: Cow<'a, str>,
}

impl<'a> PlainEvent<'a> {
    /// Reads a body.
    ///
    /// # Errors
    ///
    /// If it is no such JSON.
    pub fn parse(body: &'a [u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(body)
    }
}
