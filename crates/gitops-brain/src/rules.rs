//! The rules that keep answers from being false, by name.
//!
//! Each can be left out of a build, so that tests can show that they would notice:
//! `RUSTFLAGS='--cfg gitops_brain_without="break"'`. Nobody else has a reason to.

macro_rules! rules {
    ($($(#[$about:meta])* $name:ident = $text:literal;)*) => {$(
        $(#[$about])*
        pub(crate) const $name: bool = !cfg!(gitops_brain_without = $text);
    )*};
}

rules! {
    /// What is being deleted proves nothing by its last word.
    DELETED = "deleted";
    /// Work that was canceled has not failed.
    INTERRUPTED = "interrupted";
    /// Waiting for a dependency is no failure.
    BLOCKED = "blocked";
    /// A success proves health only where health is checked.
    HEALTH = "health";
    /// A success without a health check shows nothing after an attempt that ended in between.
    UNFINISHED = "unfinished";
    /// A failure that is later than all progress stands.
    FAILURE = "failure";
    /// What was proved before another revision was taken up does not count after it.
    BREAK = "break";
    /// A revision carries a commit only if it is known to contain it.
    ANCESTRY = "ancestry";
    /// An object that was made anew begins anew.
    INCARNATION = "incarnation";
    /// What was done by a former definition does not count.
    DEFINITION = "definition";
    /// All that is expected must have arrived.
    EVERY = "every";
    /// A set that is learned is not complete at once.
    LEARNING = "learning";
    /// What was delivered healthy stays so, though a later commit fails.
    DELIVERED = "delivered";
}
