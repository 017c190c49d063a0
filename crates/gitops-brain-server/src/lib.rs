//! crates/gitops-brain-server
