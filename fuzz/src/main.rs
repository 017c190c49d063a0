//! Fuzzing without a nightly compiler: `gitops-brain-fuzz SECONDS [TARGET…]` goes through the corpus, and
//! then mutates it for so long. What a target does not stand is written to `fuzz/artifacts/`.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{self, Write as _},
    panic,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use gitops_brain_fuzz::{TARGETS, Target};
use gitops_brain_tests::random::Random;
use serde_json::Value;

/// The largest input.
const MAX_BYTES: usize = 16 * 1024;

/// Pieces that mean something to one target or another.
const WORDS: [&str; 28] = [
    "\"",
    "\\u0000",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "null",
    "true",
    "-1",
    "1e400",
    "99999999999999999999",
    "main@sha1:",
    "sha256:",
    "sha256=",
    "@",
    "/",
    "\u{feff}",
    "\u{202e}",
    "Kustomization",
    "commit_status",
    "\n\n",
    "?wait=1s",
    "Content-Type: application/json",
    "[clusters.a]\n",
    "env:KEY",
    "2026-11-23T12:00:00Z",
];

fn main() -> io::Result<ExitCode> {
    let mut arguments = env::args().skip(1);
    let Some(seconds) = arguments.next().and_then(|text| text.parse().ok()) else {
        writeln!(io::stderr(), "usage: gitops-brain-fuzz SECONDS [TARGET…]")?;
        return Ok(ExitCode::from(2));
    };
    let wanted: Vec<String> = arguments.collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let vectors = bodies(&root.join("../tests/vectors"))?;
    // A target that finds something says so by panicking; it is told of below.
    panic::set_hook(Box::new(|_| {}));
    let mut found = false;
    for target in TARGETS {
        if !wanted.is_empty() && !wanted.iter().any(|name| name == target.0) {
            continue;
        }
        let corpus = corpus(&root.join("corpus").join(target.0), vectors.get(target.0))?;
        let (count, broken) = fuzz(target, &corpus, Duration::from_secs(seconds));
        writeln!(io::stdout(), "{}: {} in the corpus, {count} inputs", target.0, corpus.len())?;
        if let Some(input) = broken {
            let folder = root.join("artifacts");
            fs::create_dir_all(&folder)?;
            let path = folder.join(target.0);
            fs::write(&path, &input)?;
            writeln!(io::stdout(), "{}: it does not stand {}", target.0, path.display())?;
            found = true;
        }
    }
    Ok(if found { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Goes through the corpus, then through what becomes of it. Returns the input that broke the target.
fn fuzz((_, run): Target, corpus: &[Vec<u8>], time: Duration) -> (u64, Option<Vec<u8>>) {
    let stands = |input: &[u8]| panic::catch_unwind(|| run(input)).is_ok();
    let mut count = 0;
    for input in corpus {
        count += 1;
        if !stands(input) {
            return (count, Some(input.clone()));
        }
    }
    let started = Instant::now();
    let mut random = Random::new(count);
    while started.elapsed() < time {
        let input = mutated(corpus, &mut random);
        count += 1;
        if !stands(&input) {
            return (count, Some(input));
        }
    }
    (count, None)
}

fn mutated(corpus: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let pick =
        |random: &mut Random| corpus.get(random.below(corpus.len())).cloned().unwrap_or_default();
    let mut input = pick(random);
    for _ in 0..1 + random.below(6) {
        let at = random.below(input.len() + 1);
        match random.below(7) {
            0 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << random.below(8);
                }
            }
            1 => input.insert(at, random.below(256) as u8),
            2 => drop(input.drain(at..(at + random.below(8)).min(input.len()))),
            3 => {
                let word = WORDS.get(random.below(WORDS.len())).copied().unwrap_or_default();
                input.splice(at..at, word.bytes());
            }
            4 => {
                let other = pick(random);
                let from = random.below(other.len() + 1);
                let piece = other.get(from..(from + random.below(64)).min(other.len()));
                input.splice(at..at, piece.unwrap_or_default().iter().copied());
            }
            5 => {
                let piece = input.get(at..(at + random.below(128)).min(input.len()));
                let piece = piece.unwrap_or_default().to_vec();
                input.splice(at..at, piece);
            }
            _ => input.truncate(at.max(1)),
        }
    }
    input.truncate(MAX_BYTES);
    input
}

fn corpus(folder: &Path, more: Option<&Vec<Vec<u8>>>) -> io::Result<Vec<Vec<u8>>> {
    let mut corpus = more.cloned().unwrap_or_default();
    let mut paths: Vec<PathBuf> = match fs::read_dir(folder) {
        Ok(entries) => {
            entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?
        }
        Err(_) => Vec::new(),
    };
    paths.sort();
    for path in paths {
        corpus.push(fs::read(path)?);
    }
    if corpus.is_empty() {
        return Err(io::Error::other(format!("there is no corpus in {}", folder.display())));
    }
    Ok(corpus)
}

/// The bodies of all events in the conformance vectors, for the targets that read such.
fn bodies(folder: &Path) -> io::Result<BTreeMap<&'static str, Vec<Vec<u8>>>> {
    let mut found = BTreeMap::<_, Vec<Vec<u8>>>::new();
    for kind in ["events", "observations", "revisions", "scenarios"] {
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder.join(kind))? {
            paths.push(entry?.path());
        }
        paths.sort();
        for path in paths {
            let value: Value = serde_json::from_slice(&fs::read(&path)?)?;
            gather(&value, &mut |key, text| {
                let target = match key {
                    "body" if text.contains("argoproj.io") => "application",
                    "body" => "event",
                    "revision" if kind == "revisions" => "revision",
                    _ => return,
                };
                found.entry(target).or_default().push(text.into_bytes());
            });
        }
    }
    let lines = found.get("event").map(|bodies| lines_of(bodies)).unwrap_or_default();
    for target in ["fact_line", "snapshot", "facts"] {
        let lines = lines.iter();
        let inputs = match target {
            "fact_line" => lines.cloned().collect(),
            _ => lines.as_slice().chunks(12).map(|lines| lines.join(&b'\n')).collect(),
        };
        found.insert(target, inputs);
    }
    Ok(found)
}

/// The facts that come of events, as lines.
fn lines_of(bodies: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let at = chrono::DateTime::from_timestamp(1_900_000_000, 0).unwrap_or_default();
    let Ok(cluster) = "staging".parse() else { return Vec::new() };
    bodies
        .iter()
        .filter_map(|body| match gitops_brain::observe(&cluster, body, at) {
            Ok(gitops_brain::Ingested::Fact(fact)) => Some(fact.to_line().into_bytes()),
            _ => None,
        })
        .collect()
}

fn gather(value: &Value, found: &mut impl FnMut(&str, String)) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(text) => found(key, text.clone()),
                    Value::Object(inner) if inner.contains_key("json") => {
                        found(key, inner.get("json").unwrap_or(&Value::Null).to_string());
                    }
                    value => gather(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| gather(item, found)),
        _ => {}
    }
}
