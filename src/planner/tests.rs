use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use super::timing::sweep_times;
use super::*;
use crate::aliyun::RULES;
use crate::config::Config;
use crate::presence::{Operation, Shard};

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn config(collect: &str, instances: &[u32]) -> Config {
    let instances = instances.iter().enumerate().map(|(n, rate)| {
        format!("- {{id: post-cn-{n}, region: cn-hangzhou, calls_per_second: {rate}, clients: [GID_test@@@a]}}\n")
    });
    let instances: String = instances.collect();
    let text =
        format!("collect: {collect}\nlimits: {{single_per_second: 200}}\ninstances:\n{instances}");
    Config::parse(text, Path::new("test.yaml"), &RULES)
        .expect("valid")
        .config
}

#[test]
fn a_sweep_takes_its_clients_by_its_rate_and_instances_share_the_egress_rate() {
    let sweeps = |rates: &[u32], clients: &[usize]| {
        let plan = Plan::new(&config("{}", rates), Shard::WHOLE, clients).expect("possible");
        plan.instances
            .iter()
            .map(|instance| instance.sweep)
            .collect::<Vec<_>>()
    };
    assert_eq!(sweeps(&[100], &[1000]), [secs(10)]);
    assert_eq!(sweeps(&[200], &[1000]), [secs(5)]);
    assert_eq!(sweeps(&[200, 200], &[1000, 1000]), [secs(10), secs(10)]);
    assert_eq!(
        sweeps(&[50, 200], &[500, 1500]),
        [secs(10), secs(10)],
        "what one leaves the other gets"
    );
    assert_eq!(
        sweeps(&[200, 200], &[100, 1100]),
        [secs(1), secs(6)],
        "a sweep that ends frees its share"
    );
    assert_eq!(sweeps(&[100, 100], &[0, 100]), [secs(0), secs(1)]);
}

#[test]
fn stale_after_is_three_sweeps_but_five_minutes_at_least() {
    let stale = |collect, clients| {
        Plan::new(&config(collect, &[100]), Shard::WHOLE, &[clients])
            .map(|plan| plan.instances[0].stale_after)
    };
    assert_eq!(stale("{}", 1000), Ok(secs(300)));
    assert_eq!(stale("{}", 60_000), Ok(secs(1800)));
    assert_eq!(stale("{stale_after: 20m}", 60_000), Ok(secs(1200)));
    let wrong = stale("{stale_after: 19m}", 60_000).expect_err("less than two sweeps");
    assert_eq!(
        wrong.to_string(),
        "collect.stale_after: 19m is less than two sweeps of post-cn-0, which take 10m each; \
         write 20m or more, or `auto`"
    );
}

#[test]
fn two_replicas_cost_one_sweep_while_max_age_is_half_the_interval() {
    let cost = |collect, clients, interval, replicas| {
        let plan = Plan::new(&config(collect, &[100]), Shard::WHOLE, &[clients]).expect("possible");
        plan.scraped(secs(interval), replicas).per_second
    };
    let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} {b}");
    close(cost("{}", 300, 15, 1), 20.0);
    close(cost("{}", 300, 15, 2), 20.0);
    close(cost("{}", 300, 30, 1), 10.0);
    close(cost("{}", 300, 30, 2), 20.0);
    close(cost("{max_age: 15s}", 300, 30, 2), 10.0);
    close(cost("{max_age: 20s}", 300, 15, 1), 10.0);
    // A sweep of 100 s: the first scrape after it starts the next.
    close(cost("{}", 10_000, 15, 1), 10_000.0 / 105.0);
    close(cost("{}", 10_000, 15, 2), 10_000.0 / 105.0);
}

#[test]
fn notes_name_replicas_that_do_not_join_and_long_sweeps() {
    let notes = |collect, clients| {
        Plan::new(&config(collect, &[100]), Shard::WHOLE, &[clients])
            .expect("possible")
            .notes()
    };
    assert_eq!(notes("{max_age: 30s}", 100), [""; 0]);
    let all = notes("{}", 2000).join("\n");
    assert!(
        all.contains("less than half of 30s and 1m") && all.contains("30s or more makes it one"),
        "{all}"
    );
    assert!(all.contains("(20s) takes longer than 15s"), "{all}");
}

proptest! {
    #[test]
    fn sharing_passes_no_rate_and_wastes_none(loads in prop::collection::vec((1_usize..5000, 1_u32..300), 1..8)) {
        let loads: Vec<_> = loads.into_iter().map(|(n, rate)| (n, f64::from(rate).min(200.0))).collect();
        let times = sweep_times(200.0, &loads);
        let total: usize = loads.iter().map(|load| load.0).sum();
        let last = times.iter().max().expect("one at least").as_secs_f64();
        prop_assert!(last >= total as f64 / 200.0 - 0.01);
        for (time, &(clients, own)) in times.iter().zip(&loads) {
            prop_assert!(time.as_secs_f64() >= clients as f64 / own - 0.51 / own - 0.01);
            // No sweep takes longer than with an even share from start to end.
            let even = own.min(200.0 / loads.len() as f64);
            prop_assert!(time.as_secs_f64() <= clients as f64 / even + 0.01);
        }
    }

    #[test]
    fn calls_never_pass_the_rate(clients in 1_usize..100_000, interval in 1_u64..120, replicas in 1_u32..3) {
        let plan = Plan::new(&config("{}", &[100]), Shard::WHOLE, &[clients]).expect("possible");
        prop_assert!(plan.scraped(secs(interval), replicas).per_second <= 100.0 + 1e-6);
    }
}

fn plan(collect: &str, rate: u32, clients: usize) -> Plan {
    Plan::new(&config(collect, &[rate]), Shard::WHOLE, &[clients])
        .unwrap_or_else(|problems| panic!("{problems}"))
}

fn refused(collect: &str, rates: &[u32], clients: &[usize]) -> String {
    Plan::new(&config(collect, rates), Shard::WHOLE, clients)
        .expect_err("it cannot work")
        .to_string()
}

#[test]
fn a_batch_asks_for_ten_clients_whatever_the_rate_of_the_instance() {
    let plan = plan("{query: batch}", 50, 10_001);
    assert_eq!(plan.instances[0].calls, 1001);
    assert_eq!(shown(plan.instances[0].sweep), "13s", "1001 calls at 80/s");
    assert!((plan.scraped(secs(60), 1).per_second - 1001.0 / 60.0).abs() < 1e-9);
    let outlook = plan.scraped(secs(60), 1);
    assert!((outlook.of_limit - 1001.0 / 60.0 / 80.0).abs() < 1e-9);
    assert!((outlook.of_account - 1001.0 / 60.0 / 100.0).abs() < 1e-9);
}

#[test]
fn a_polling_sweep_takes_its_interval() {
    let plan = plan("{mode: poll, interval: 3m}", 100, 9000);
    assert_eq!(
        (plan.instances[0].sweep, plan.instances[0].fastest),
        (secs(180), secs(90))
    );
    assert_eq!(plan.instances[0].stale_after, secs(540));
    let outlook = plan.polled();
    assert!(
        (outlook.per_second - 50.0).abs() < 1e-9 && (outlook.per_day() - 4_320_000.0).abs() < 1e-3
    );
    assert_eq!(
        (outlook.oldest, outlook.seen_within),
        (secs(180), secs(180))
    );
    assert!((outlook.of_limit - 0.25).abs() < 1e-9 && (outlook.of_account - 0.1).abs() < 1e-9);
    assert_eq!(plan.notes(), [""; 0]);
    let tight = self::plan("{mode: poll, interval: 95s}", 100, 9000)
        .notes()
        .concat();
    assert!(tight.contains("95% of the rate"), "{tight}");
}

#[test]
fn an_interval_that_no_rate_allows_is_refused_with_one_that_works() {
    assert_eq!(
        refused("{mode: poll, interval: 30s}", &[50], &[4000]),
        "collect.interval: 30s is too short: querying the 4000 clients of post-cn-0 takes 1m20s at 50 calls/s; \
         write 1m20s or more, or raise the `calls_per_second` of the instance to 134 or more, or use `query: batch`, \
         which takes 5s"
    );
    assert_eq!(
        refused(
            "{mode: poll, interval: 30s, query: batch}",
            &[50],
            &[40_000]
        ),
        "collect.interval: 30s is too short: querying all 40000 clients takes 50s at 80 calls/s; write 50s or more"
    );
    let together = refused("{mode: poll, interval: 30s}", &[150, 150], &[4000, 4000]);
    assert!(
        together.contains("all 8000 clients takes 40s at 200 calls/s"),
        "{together}"
    );
    plan("{mode: poll, interval: 80s}", 50, 4000);
    plan("{mode: poll, interval: 30s}", 134, 4000);
    plan("{mode: poll, interval: 30s, query: batch}", 50, 4000);
    plan("{mode: poll, interval: 50s, query: batch}", 50, 40_000);
}

#[test]
fn an_interval_that_outlives_stale_after_is_refused() {
    let wrong = refused("{mode: poll, interval: 3m, stale_after: 5m}", &[100], &[10]);
    assert!(
        wrong.contains("5m is less than two sweeps of post-cn-0, which take 3m each; write 6m"),
        "{wrong}"
    );
    plan("{mode: poll, interval: 3m, stale_after: 6m}", 100, 10);
}

#[test]
fn a_shard_has_its_part_of_every_rate() {
    let (config, shard) = (config("{}", &[100]), Shard::new(1, 4).expect("one of four"));
    let plan = Plan::new(&config, shard, &[250]).expect("possible");
    assert!((plan.quotas.rate(Operation::Single) - 50.0).abs() < 1e-9);
    assert!((plan.quotas.rate(Operation::Batch) - 20.0).abs() < 1e-9);
    assert!((plan.instances[0].calls_per_second - 25.0).abs() < 1e-9);
    assert_eq!(plan.instances[0].sweep, secs(10));
}

#[test]
fn what_is_seen_is_seen_at_once_only_where_a_scrape_can_wait_for_its_sweep() {
    let short = plan("{}", 100, 200).scraped(secs(30), 1);
    assert_eq!((short.oldest, short.seen_within), (secs(32), secs(32)));
    let long = plan("{}", 100, 2000).scraped(secs(30), 1);
    assert_eq!((long.oldest, long.seen_within), (secs(50), secs(60)));
}

#[test]
fn the_quota_of_an_account_is_that_of_all_its_instances() {
    let of_account = |accounts: [&str; 2]| {
        let instance = |(n, account)| {
            format!(
                "- {{id: post-cn-{n}, region: cn-hangzhou, credentials: {{type: env{account}}}, clients: [a]}}\n"
            )
        };
        let instances: String = accounts.into_iter().enumerate().map(instance).collect();
        let config = Config::parse(
            format!("instances:\n{instances}"),
            Path::new("test.yaml"),
            &RULES,
        )
        .expect("valid")
        .config;
        Plan::new(&config, Shard::WHOLE, &[600, 300])
            .expect("possible")
            .scraped(secs(60), 1)
            .of_account
    };
    assert!(
        (of_account(["", ""]) - 15.0 / 500.0).abs() < 1e-9,
        "not named, it is one"
    );
    assert!((of_account([", account: a", ", account: a"]) - 15.0 / 500.0).abs() < 1e-9);
    assert!((of_account([", account: a", ", account: b"]) - 10.0 / 500.0).abs() < 1e-9);
}
