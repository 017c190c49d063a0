//! The hash function of the brain's maps.
//!
//! Every event looks up three texts, and SipHash was a third of what applying one costs. foldhash
//! resists those who choose keys so that they collide less well, but they would have to hold a
//! cluster's key, and every map that they could fill is bounded.

use std::hash::{BuildHasher as _, RandomState};

use foldhash::fast::FixedState;

/// A map with a fast hash.
pub(crate) type HashMap<K, V> = std::collections::HashMap<K, V, FixedState>;

/// An empty map, with a seed that nobody outside knows.
pub(crate) fn map<K, V>() -> HashMap<K, V> {
    HashMap::with_hasher(FixedState::with_seed(RandomState::new().hash_one(0)))
}

/// An empty map for keys that the brain itself gives out.
pub(crate) fn map_of_places<K, V>() -> HashMap<K, V> {
    HashMap::with_hasher(FixedState::with_seed(0))
}
