//! Lookups, in paused time.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use tokio::time::{advance, sleep};

use super::*;

const HOST: &str = "api.example";
const MINUTE: Duration = Duration::from_secs(60);

/// A nameserver: how long a lookup takes, its result, and the number of lookups.
struct Dns {
    set: Mutex<(Duration, Result<Vec<u8>, &'static str>)>,
    lookups: AtomicUsize,
}

impl Dns {
    fn new(time: Duration, addresses: &[u8]) -> (Arc<Self>, Resolver) {
        let dns = Arc::new(Self {
            set: Mutex::new((time, Ok(addresses.to_vec()))),
            lookups: AtomicUsize::new(0),
        });
        let server = Arc::clone(&dns);
        let resolver = Resolver::new(move |host| {
            assert_eq!(host, HOST);
            server.lookups.fetch_add(1, Ordering::Relaxed);
            let (time, result) = server.set.lock().unwrap().clone();
            Box::pin(async move {
                sleep(time).await;
                let found = result.map_err(io::Error::other)?;
                Ok(found.into_iter().map(address).collect())
            })
        });
        (dns, resolver)
    }

    fn set(&self, time: Duration, result: Result<&[u8], &'static str>) {
        *self.set.lock().unwrap() = (time, result.map(<[u8]>::to_vec));
    }

    fn lookups(&self) -> usize {
        self.lookups.load(Ordering::Relaxed)
    }
}

fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, last], 0))
}

/// The addresses and generation, and how long it took to get them.
async fn resolved(resolver: &Resolver) -> (Result<(Vec<SocketAddr>, u64), String>, Duration) {
    let start = Instant::now();
    let found = resolver.resolve(HOST).await;
    let found = found.map(|found| (found.addresses, found.generation));
    (found.map_err(|error| error.to_string()), start.elapsed())
}

/// Addresses with these last bytes, and a generation.
fn found(last: &[u8], generation: u64) -> (Vec<SocketAddr>, u64) {
    (last.iter().copied().map(address).collect(), generation)
}

#[tokio::test(start_paused = true)]
async fn a_slow_lookup_outlives_the_call_that_started_it() {
    let (dns, resolver) = Dns::new(Duration::from_secs(5), &[1]);
    let call = timeout(Duration::from_millis(2500), resolver.resolve(HOST));
    call.await.expect_err("the nameserver needs 5 s");
    let (answer, wait) = resolved(&resolver).await;
    assert_eq!(answer, Ok(found(&[1], 0)));
    assert!(wait < Duration::from_millis(2600), "{wait:?}");
    assert_eq!(
        resolved(&resolver).await,
        (Ok(found(&[1], 0)), Duration::ZERO)
    );
    assert_eq!(dns.lookups(), 1);
}

#[tokio::test(start_paused = true)]
async fn calls_share_one_lookup() {
    let (dns, resolver) = Dns::new(Duration::from_millis(20), &[1, 2]);
    let answers = join_all((0..64).map(|_| resolved(&resolver))).await;
    assert!(
        answers
            .iter()
            .all(|(answer, _)| *answer == Ok(found(&[1, 2], 0)))
    );
    assert_eq!(dns.lookups(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_renewed_in_the_background() {
    let (dns, resolver) = Dns::new(Duration::from_millis(20), &[1]);
    for second in 0..60 {
        assert_eq!(resolved(&resolver).await.0, Ok(found(&[1], 0)));
        assert_eq!(dns.lookups(), 1, "after {second} s");
        advance(Duration::from_secs(1)).await;
    }
    dns.set(Duration::from_secs(5), Ok(&[2, 3]));
    for _ in 0..5 {
        assert_eq!(
            resolved(&resolver).await,
            (Ok(found(&[1], 0)), Duration::ZERO)
        );
        sleep(Duration::from_secs(1)).await;
    }
    sleep(Duration::from_millis(1)).await;
    assert_eq!(resolved(&resolver).await.0, Ok(found(&[2, 3], 1)));
    assert_eq!(dns.lookups(), 2, "one lookup at a time");
}

#[tokio::test(start_paused = true)]
async fn the_generation_changes_with_the_set() {
    let (dns, resolver) = Dns::new(Duration::from_millis(20), &[1, 2]);
    for (addresses, generation) in [(&[1, 2][..], 0), (&[2, 1], 0), (&[2], 1), (&[1, 2], 2)] {
        dns.set(Duration::from_millis(20), Ok(addresses));
        // Unused for long: calls wait for the new answer.
        advance(10 * MINUTE).await;
        assert_eq!(
            resolved(&resolver).await.0,
            Ok(found(addresses, generation))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn while_lookups_fail_the_last_answer_is_used_for_a_day() {
    let (dns, resolver) = Dns::new(Duration::from_millis(20), &[1]);
    resolved(&resolver).await.0.expect("an answer");
    dns.set(Duration::from_secs(10), Err("no nameserver"));
    for _ in 0..24 * 60 - 1 {
        sleep(MINUTE).await;
        assert_eq!(
            resolved(&resolver).await,
            (Ok(found(&[1], 0)), Duration::ZERO)
        );
    }
    let lookups = dns.lookups();
    assert!(lookups > 1000, "{lookups}");
    sleep(MINUTE).await;
    let error = "cannot resolve `api.example`: no nameserver";
    assert_eq!(resolved(&resolver).await.0, Err(error.to_owned()));
    dns.set(Duration::from_millis(20), Ok(&[1]));
    sleep(MINUTE).await;
    assert_eq!(resolved(&resolver).await.0, Ok(found(&[1], 0)));
}

#[tokio::test(start_paused = true)]
async fn an_old_answer_is_used_if_the_new_one_is_late() {
    let (dns, resolver) = Dns::new(Duration::from_millis(20), &[1]);
    resolved(&resolver).await.0.expect("an answer");
    advance(10 * MINUTE).await;
    dns.set(Duration::from_secs(5), Ok(&[2]));
    assert_eq!(
        resolved(&resolver).await,
        (Ok(found(&[1], 0)), RENEWAL_WAIT)
    );
    sleep(Duration::from_secs(5)).await;
    assert_eq!(resolved(&resolver).await.0, Ok(found(&[2], 1)));
}

#[tokio::test(start_paused = true)]
async fn failed_lookups_are_repeated_once_a_second() {
    let (dns, resolver) = Dns::new(Duration::ZERO, &[]);
    for _ in 0..100 {
        let error = resolved(&resolver).await.0.expect_err("no address");
        assert_eq!(
            error,
            "cannot resolve `api.example`: the host has no address"
        );
        sleep(Duration::from_millis(100)).await;
    }
    assert!((9..=11).contains(&dns.lookups()), "{}", dns.lookups());
    dns.set(Duration::ZERO, Ok(&[1]));
    sleep(RETRY_PAUSE).await;
    assert_eq!(resolved(&resolver).await.0, Ok(found(&[1], 0)));
}
