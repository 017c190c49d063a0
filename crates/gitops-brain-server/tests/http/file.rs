//! The journal's file: for one server, and never overwritten.

use gitops_brain_server::bind;

use crate::harness::{CONFIG, config, start};

#[tokio::test]
async fn two_servers_on_one_file_are_one_too_many() {
    let server = start().await;
    let error = bind(&config(CONFIG, &server.folder)).await.unwrap_err();
    assert_eq!(error.code(), "store.unavailable");
    assert!(error.to_string().contains("another process"), "{error}");
}

#[tokio::test]
async fn a_damaged_file_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(CONFIG, &folder);
    let path = crate::database(folder.path());
    std::fs::write(&path, "this is not a database, and long enough to be read".repeat(99)).unwrap();
    let before = std::fs::read(&path).unwrap();
    let error = bind(&config).await.unwrap_err();
    assert_eq!(error.code(), "store.corrupt");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}
