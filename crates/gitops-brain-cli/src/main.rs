//! The command line of gitops-brain.
fn main() {}
