//! crates/gitops-brain-journal
