//! `query`, as a person or a script sees it.

use std::time::Duration;

use mqtt_presence_exporter::app::{CommandError, Environment, Output, QueryArgs, query, read_ids};
use mqtt_presence_exporter::config::Env;
use mqtt_presence_exporter::net::Resolver;
use mqtt_presence_exporter::presence::{Shard, Status};
use mqtt_presence_exporter::random::Random;
use mqtt_presence_exporter::simulator::{
    DurationSetting, Faults, SimulatedFleet, SimulatorOptions,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::support::SINGLE;
use crate::support::rig::Rig;

/// A simulator, and a configuration file for it.
struct Stage {
    rig: Rig,
    folder: TempDir,
    clients: Vec<String>,
}

/// What a query said, and how it ended.
#[derive(Debug)]
struct Said {
    result: Result<Status, String>,
    out: String,
    err: String,
}

impl Stage {
    async fn new(clients: usize) -> Self {
        Self::with(SimulatorOptions {
            fleet: SimulatedFleet::generate(1, clients),
            ..SimulatorOptions::default()
        })
        .await
    }

    async fn with(options: SimulatorOptions) -> Self {
        let rig = Rig::with(options).await;
        let clients: Vec<_> = rig.clients().cloned().collect();
        for client in &clients {
            assert!(rig.simulator.set_online(client, true));
        }
        let stage = Self {
            folder: tempfile::tempdir().expect("a folder"),
            clients,
            rig,
        };
        stage.configure(&stage.rig.configuration("", "calls_per_second: 220,"));
        stage
    }

    fn configure(&self, text: &str) {
        std::fs::write(self.folder.path().join("config.yaml"), text).expect("a file");
    }

    fn args(&self, clients: &[impl AsRef<str>]) -> QueryArgs {
        QueryArgs {
            clients: clients
                .iter()
                .map(|client| client.as_ref().to_owned())
                .collect(),
            config_file: self.folder.path().join("config.yaml"),
            instance: None,
            output: Output::Table,
            watch: None,
        }
    }

    async fn query(&self, args: QueryArgs) -> Said {
        self.query_until(args, CancellationToken::new()).await
    }

    async fn query_until(&self, args: QueryArgs, stop: CancellationToken) -> Said {
        let random = Random::new(|| 0);
        let environment = Environment {
            env: Env::default(),
            clock: self.rig.clock.clone(),
            random,
            resolver: Resolver::system(),
            shard: Shard::WHOLE,
        };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let result = query(args, environment, stop, &mut out, &mut err).await;
        let result = result.map_err(|failure| match failure {
            CommandError::Usage(text) => text,
            CommandError::Runtime(error) => panic!("{error}"),
        });
        let text = |bytes| String::from_utf8(bytes).expect("text");
        Said {
            result,
            out: text(out),
            err: text(err),
        }
    }
}

impl Said {
    /// The words of the lines of a table, the header left out.
    fn table(&self) -> Vec<Vec<&str>> {
        self.out
            .lines()
            .skip(1)
            .map(|line| line.split_whitespace().collect())
            .collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_table_has_a_line_for_each_client_and_the_verdict_is_the_worst() {
    let stage = Stage::new(3).await;
    let [one, two, three] = [0, 1, 2].map(|n| stage.clients[n].as_str());
    let said = stage.query(stage.args(&[two, one])).await;
    assert_eq!((&said.result, said.err.as_str()), (&Ok(Status::Online), ""));
    assert!(
        said.out.starts_with("CLIENT ") && said.out.contains("REQUEST ID\n"),
        "{}",
        said.out
    );
    let rows = said.table();
    assert_eq!(
        [&rows[0][..2], &rows[1][..2]],
        [[two, "online"], [one, "online"]],
        "in the order of the question"
    );
    let request_ids: Vec<_> = rows.iter().map(|row| *row.last().expect("words")).collect();
    assert!(
        request_ids.iter().all(|id| id.len() == 36) && request_ids[0] != request_ids[1],
        "{rows:?}"
    );

    stage.rig.simulator.set_online(two, false);
    let said = stage.query(stage.args(&[one, two])).await;
    assert_eq!(
        (&said.result, said.table()[1][1]),
        (&Ok(Status::Offline), "offline")
    );

    stage.rig.simulator.set_faults(Faults {
        poison: vec![one.into()],
        ..Faults::default()
    });
    let said = stage.query(stage.args(&[one, two, three])).await;
    assert_eq!(said.result, Ok(Status::Unknown), "however many are offline");
    let rows = said.table();
    assert_eq!(
        (rows[0][1], rows[0].last()),
        ("unknown", Some(&"ParameterCheckFailed"))
    );
    assert_eq!(
        (rows[1][1], rows[2][1]),
        ("offline", "online"),
        "the others are asked all the same"
    );
    for part in [
        "error: QuerySessionByClientId on ",
        ": ParameterCheckFailed: ",
        "(request ID ",
        "; check this client ID",
    ] {
        assert!(said.err.contains(part), "{part} is in {}", said.err);
    }
}

#[tokio::test(start_paused = true)]
async fn json_is_one_object_a_line() {
    let stage = Stage::new(2).await;
    stage.rig.simulator.set_online(&stage.clients[1], false);
    let poison = vec![stage.clients[0].clone()];
    stage.rig.simulator.set_faults(Faults {
        poison,
        ..Faults::default()
    });
    let said = stage
        .query(QueryArgs {
            output: Output::Json,
            ..stage.args(&stage.clients)
        })
        .await;
    let lines: Vec<Value> = said
        .out
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines.len(), 2);
    for (line, client) in lines.iter().zip(&stage.clients) {
        assert_eq!(line["client_id"], json!(client));
        assert_eq!(
            line["instance_id"],
            json!(stage.rig.announcement.instance_ids[0])
        );
        assert!(
            line["timestamp_seconds"].is_f64() && line["duration_seconds"].is_f64(),
            "{line}"
        );
        assert_eq!(line["request_id"].as_str().map(str::len), Some(36));
    }
    assert_eq!(
        (&lines[0]["status"], &lines[0]["error"]["code"]),
        (&json!("unknown"), &json!("ParameterCheckFailed"))
    );
    assert!(lines[0]["error"]["message"].is_string() && lines[0]["error"]["advice"].is_string());
    assert_eq!(
        (&lines[1]["status"], &lines[1]["error"]),
        (&json!("offline"), &Value::Null)
    );
}

#[tokio::test(start_paused = true)]
async fn a_query_is_small_beside_an_exporter() {
    let stage = Stage::new(60).await;
    let begun = Instant::now();
    let said = stage.query(stage.args(&stage.clients)).await;
    assert_eq!(said.result, Ok(Status::Online));
    assert!(
        begun.elapsed() >= Duration::from_secs(5),
        "{:?} for 60 clients, ten a second",
        begun.elapsed()
    );
    let stats = stage.rig.simulator.stats();
    assert_eq!(stats.arrivals[SINGLE], 60);
    assert!(stats.max_arrivals_per_second[SINGLE] <= 25, "{stats:?}");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_concerns_all_is_one_call_and_says_what_to_do() {
    let stage = Stage::new(30).await;
    let right = stage.rig.configuration("", "");
    let secret = &stage.rig.announcement.access_key_secret;
    stage.configure(&right.replace(&**secret, "not-the-secret-at-all"));
    let said = stage.query(stage.args(&stage.clients)).await;
    assert_eq!(said.result, Ok(Status::Unknown));
    assert_eq!(stage.rig.simulator.stats().arrivals[SINGLE], 1);
    let rows = said.table();
    assert_eq!(
        (rows[0].last(), rows.len()),
        (Some(&"SignatureDoesNotMatch"), 30)
    );
    assert!(said.out.trim_end().ends_with("not queried"), "{}", said.out);
    assert!(
        said.err
            .contains("check the access key secret in `credentials`"),
        "{}",
        said.err
    );
    assert!(
        said.err
            .contains("29 more clients not queried: their calls would fail in the same way"),
        "{}",
        said.err
    );
    assert!(
        !said.err.contains(&**secret) && !said.err.contains("not-the-secret"),
        "{}",
        said.err
    );

    stage.configure(&right.replace(
        &stage.rig.announcement.instance_ids[0],
        "post-cn-ofsomebodyelse",
    ));
    let said = stage.query(stage.args(&stage.clients[..2])).await;
    assert!(
        said.err
            .contains("grant the RAM action `mq:MqttInstanceAccess`"),
        "{}",
        said.err
    );
}

#[tokio::test(start_paused = true)]
async fn nobody_there_is_told_after_a_few_attempts() {
    let stage = Stage::new(30).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let nobody = format!("http://{}", listener.local_addr().expect("it listens"));
    drop(listener);
    let configuration = stage.rig.configuration("", "");
    stage.configure(&configuration.replace(&stage.rig.announcement.endpoint, &nobody));
    let said = stage.query(stage.args(&stage.clients)).await;
    assert_eq!(said.result, Ok(Status::Unknown));
    assert!(
        said.err.contains(": connect: ") && said.err.contains("check `region`, `endpoint`"),
        "{}",
        said.err
    );
}

#[tokio::test(start_paused = true)]
async fn a_wrong_clock_and_a_strange_client_id_are_worth_a_word() {
    let stage = Stage::new(1).await;
    stage.rig.simulator.set_faults(Faults {
        clock_skew: -3600,
        ..Faults::default()
    });
    let said = stage
        .query(stage.args(&[&*stage.clients[0], "GID_pump@1"]))
        .await;
    assert_eq!(said.result, Ok(Status::Offline), "{said:?}");
    assert!(
        said.err.contains(
            "note: this host's clock is 1h ahead of the API's clock; synchronize it (NTP)"
        ),
        "{}",
        said.err
    );
    let spelling = "note: GID_pump@1 has no `@@@` between group and device; the API also reports clients offline ";
    assert!(said.err.contains(spelling), "{}", said.err);
}

#[tokio::test(start_paused = true)]
async fn watching_shows_what_changes_until_it_is_interrupted() {
    let stage = Stage::new(3).await;
    let stop = CancellationToken::new();
    let args = QueryArgs {
        watch: Some(Duration::from_secs(2)),
        ..stage.args(&stage.clients)
    };
    let story = async {
        sleep(Duration::from_secs(5)).await;
        stage.rig.simulator.set_online(&stage.clients[1], false);
        sleep(Duration::from_secs(5)).await;
        stop.cancel();
    };
    let (said, ()) = tokio::join!(stage.query_until(args, stop.clone()), story);
    assert_eq!(said.result, Ok(Status::Offline));
    let rows: Vec<_> = said
        .table()
        .into_iter()
        .map(|row| (row[1].to_owned(), row[2].to_owned()))
        .collect();
    let row = |client: usize, status: &str| (stage.clients[client].clone(), status.to_owned());
    assert_eq!(
        rows,
        [
            row(0, "online"),
            row(1, "online"),
            row(2, "online"),
            row(1, "offline")
        ]
    );
    assert!(
        said.table()
            .iter()
            .all(|row| row[0].starts_with("2023-11-14T22:13:") && row[0].ends_with('Z')),
        "{}",
        said.out
    );
    assert_eq!(said.out.matches("CLIENT").count(), 1);
    let rounds = stage.rig.simulator.stats().arrivals[SINGLE] / 3;
    assert!((4..=6).contains(&rounds), "{rounds} rounds in ten seconds");
}

#[tokio::test(start_paused = true)]
async fn what_an_interruption_leaves_open_is_unknown() {
    let stage = Stage::new(30).await;
    stage.rig.simulator.set_faults(Faults {
        latency: DurationSetting::from(Duration::from_millis(50)),
        ..Faults::default()
    });
    let stop = CancellationToken::new();
    let interrupt = async {
        sleep(Duration::from_secs(1)).await;
        stop.cancel();
    };
    let (said, ()) = tokio::join!(
        stage.query_until(stage.args(&stage.clients), stop.clone()),
        interrupt
    );
    assert_eq!(
        (said.result.as_ref(), said.err.as_str()),
        (Ok(&Status::Unknown), "")
    );
    let rows = said.table();
    assert_eq!(
        (rows.len(), rows[0][1], rows[29][1]),
        (30, "online", "unknown"),
        "{}",
        said.out
    );
}

#[tokio::test(start_paused = true)]
async fn where_several_instances_are_configured_one_is_chosen() {
    let stage = Stage::with(SimulatorOptions {
        fleet: SimulatedFleet::generate(2, 4),
        ..SimulatorOptions::default()
    })
    .await;
    let (id, clients) = stage
        .rig
        .announcement
        .clients
        .iter()
        .next_back()
        .expect("two");
    let asked = stage.args(&clients[..1]);
    let error = stage
        .query(asked.clone())
        .await
        .result
        .expect_err("which one?");
    let ids = stage.rig.announcement.instance_ids.join(", ");
    assert_eq!(
        error,
        format!("several instances are configured; select one with --instance: {ids}")
    );
    let chosen = |id: &str| QueryArgs {
        instance: Some(id.into()),
        ..asked.clone()
    };
    assert_eq!(stage.query(chosen(id)).await.result, Ok(Status::Online));
    let error = stage
        .query(chosen("post-cn-3"))
        .await
        .result
        .expect_err("there is no such");
    assert_eq!(
        error,
        format!("--instance: post-cn-3 is not in the configuration; configured instances: {ids}")
    );
    assert_eq!(stage.rig.simulator.stats().arrivals[SINGLE], 1);
}

#[test]
fn a_dash_stands_for_the_ids_on_standard_input() {
    let read = |clients: &[&str], stdin: &str| {
        let args = QueryArgs {
            clients: clients.iter().map(|client| (*client).into()).collect(),
            config_file: "config.yaml".into(),
            instance: None,
            output: Output::Table,
            watch: None,
        };
        read_ids(args, &mut stdin.as_bytes())
            .map(|args| args.clients)
            .map_err(|failure| failure.to_string())
    };
    assert_eq!(
        read(&["a", "-", "b"], "c\r\n\n  d e \na\n"),
        Ok(["a", "c", "d e", "b"].map(String::from).into())
    );
    assert_eq!(read(&["a", "a"], "not read"), Ok(vec!["a".to_owned()]));
    assert_eq!(
        read(&["-"], " \n"),
        Err("standard input lists no client IDs".to_owned())
    );
    assert_eq!(read(&["a", ""], ""), Err("a client ID is empty".to_owned()));
    let why = "has 257 bytes, more than the 256 that are allowed; correct or remove it";
    let too_long = "x".repeat(257);
    let refused = Err(format!("client ID `{}…` {why}", "x".repeat(80)));
    assert_eq!(read(&[&too_long], ""), refused);
    assert_eq!(read(&["-"], &too_long), refused);
    assert!(read(&[&too_long[1..]], "").is_ok());
}
