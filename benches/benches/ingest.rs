//! The path of one event: verify, parse, observe, apply; beside the two floors that no receiver can
//! go below, an HMAC over the body and a parse into a borrowed struct.
#![expect(clippy::unwrap_used, reason = "a benchmark on its own data")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gitops_brain::{Brain, ClusterName, Event, Ingested, Policy, Verifier, ingest, observe, sign};
use gitops_brain_benches::{KEY, epoch, large, plain::PlainEvent, small};
use hmac::{Hmac, KeyInit as _, Mac as _};

fn path(criterion: &mut Criterion) {
    let at = epoch();
    let cluster = ClusterName::new("staging").unwrap();
    let verifier = Verifier::new([KEY]).unwrap();
    for (name, body) in [("0.7 KB", small()), ("2 KB", large())] {
        let header = sign(KEY, body.as_bytes()).unwrap();
        let header = Some(header.as_bytes());
        let body = body.as_bytes();
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(u64::try_from(body.len()).unwrap()));
        let key = Hmac::<sha2::Sha256>::new_from_slice(KEY).unwrap();
        group.bench_function("floor: HMAC alone", |bencher| {
            bencher.iter(|| {
                let mut mac = key.clone();
                mac.update(black_box(body));
                mac.finalize()
            });
        });
        group.bench_function("floor: serde_json alone", |bencher| {
            bencher.iter(|| PlainEvent::parse(black_box(body)).unwrap().reason.len());
        });
        group.bench_function("verify", |bencher| {
            bencher.iter(|| verifier.verify(header, black_box(body)).unwrap());
        });
        group.bench_function("parse", |bencher| {
            bencher.iter(|| Event::parse(black_box(body)).unwrap().reason.len());
        });
        group.bench_function("observe (parse included)", |bencher| {
            bencher.iter(|| observe(&cluster, black_box(body), at).unwrap());
        });
        group.bench_function("ingest (verify, parse, observe)", |bencher| {
            bencher.iter(|| ingest(&verifier, &cluster, header, black_box(body), at).unwrap());
        });
        let mut brain = Brain::new(Policy::default());
        group.bench_function("ingest + apply", |bencher| {
            bencher.iter(|| {
                let Ok(Ingested::Fact(fact)) =
                    ingest(&verifier, &cluster, header, black_box(body), at)
                else {
                    std::process::abort()
                };
                brain.apply(&fact, at).changed
            });
        });
        group.finish();
    }
}

criterion_group!(benches, path);
criterion_main!(benches);
