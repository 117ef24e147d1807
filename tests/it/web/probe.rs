//! `/probe`: one client, asked for now.

use std::sync::Arc;
use std::time::Duration;

use mqtt_presence_exporter::net::ServeOptions;
use mqtt_presence_exporter::presence::{CallError, ErrorClass, InstanceState};
use mqtt_presence_exporter::web::WebOptions;
use tokio::task::yield_now;

use crate::support::exposition::Scrape;
use crate::support::fleet::{instance, web};
use crate::support::http::{Answer, Server, request, soon};
use crate::support::source::{Scripted, failure};

/// An exporter of [`clients`], configured with `more`.
async fn server(source: &Arc<Scripted>, more: &str) -> Server {
    start(vec![clients()], source, more, WebOptions::default()).await
}

/// An instance of three clients: of the first nothing is known, the second was seen online five
/// seconds ago, the third twenty. What is younger than ten seconds counts as asked now.
fn clients() -> Arc<InstanceState> {
    instance(
        "post-cn-1",
        &[
            ("GID_pumps@@@new", &[("site", "\"hz\"")], None),
            ("GID_pumps@@@young", &[], Some((true, 5))),
            ("GID_pumps@@@old", &[], Some((true, 20))),
        ],
    )
}

async fn start(
    instances: Vec<Arc<InstanceState>>,
    source: &Arc<Scripted>,
    more: &str,
    options: WebOptions,
) -> Server {
    let web = web(
        instances,
        &(Arc::clone(source) as _),
        &format!("collect: {{retries: 0}}\n{more}"),
        options,
    );
    Server::start(
        web.router().expect("the flags fit"),
        ServeOptions::default(),
    )
    .await
}

fn says(online: bool) -> Arc<Scripted> {
    Scripted::new(move |_| Ok(online))
}

fn fails(error: Box<CallError>) -> Arc<Scripted> {
    Scripted::new(move |_| Err(error.clone()))
}

async fn probe(server: &Server, client: &str) -> Answer {
    server.get(&path(client)).await
}

fn path(client: &str) -> String {
    format!("/probe?client_id=GID_pumps@@@{client}&instance_id=post-cn-1")
}

/// What a probe says, and whether it says no more than a probe should.
fn read(answer: &Answer) -> (Option<f64>, Option<f64>) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    // Why it failed stands in front, as a comment of one line.
    let text = match answer.text().strip_prefix("# failed: ") {
        Some(failed) => failed.split_once('\n').expect("a line").1,
        None => answer.text(),
    };
    let scrape = Scrape::parse(text).expect("valid text");
    let online = scrape.value("mqtt_presence_client_online", &[]);
    let families: Vec<_> = scrape
        .families
        .iter()
        .map(|family| family.name.as_str())
        .collect();
    let expected = [
        "probe_success",
        "probe_duration_seconds",
        "mqtt_presence_client_online",
    ];
    assert_eq!(
        families,
        expected[..if online.is_some() { 3 } else { 2 }],
        "nothing of the exporter's own"
    );
    (scrape.value("probe_success", &[]), online)
}

const ONLINE: (Option<f64>, Option<f64>) = (Some(1.0), Some(1.0));
const OFFLINE: (Option<f64>, Option<f64>) = (Some(1.0), Some(0.0));
const FAILED: (Option<f64>, Option<f64>) = (Some(0.0), None);

#[tokio::test]
async fn a_probe_asks_now_and_shows_the_client_as_metrics_does() {
    let source = says(true);
    let server = server(&source, "").await;
    let answer = probe(&server, "new").await;
    assert_eq!(read(&answer), ONLINE);
    let series = answer.text().lines().last().expect("lines");
    let labels =
        r#"client_id="GID_pumps@@@new",group_id="GID_pumps",instance_id="post-cn-1",site="\"hz\"""#;
    assert_eq!(series, format!("mqtt_presence_client_online{{{labels}}} 1"));
    assert_eq!(source.asked(), ["GID_pumps@@@new"]);
}

#[tokio::test]
async fn what_a_probe_hears_is_known_to_all() {
    let source = says(false);
    let server = server(&source, "").await;
    assert_eq!(read(&probe(&server, "old").await), OFFLINE);
    let page = server.get("/api/v1/clients?text=old&status=offline").await;
    assert!(page.text().contains(r#""total":1,"#), "{}", page.text());
    assert_eq!(source.asked().len(), 1);
}

#[tokio::test]
async fn a_young_answer_is_not_asked_for_again_and_an_old_one_is() {
    let source = says(false);
    let server = server(&source, "").await;
    assert_eq!(read(&probe(&server, "young").await), ONLINE);
    assert_eq!(
        source.asked().len(),
        0,
        "it was heard just now, by a sweep perhaps"
    );
    for _ in 0..2 {
        assert_eq!(read(&probe(&server, "old").await), OFFLINE);
    }
    assert_eq!(
        source.asked().len(),
        1,
        "the second probe has the first one's answer"
    );
}

#[tokio::test]
async fn a_failed_probe_says_why_and_no_status_however_well_known_that_was() {
    let source = fails(failure(ErrorClass::Transient, "InternalError"));
    let server = server(&source, "").await;
    let answer = probe(&server, "old").await;
    assert_eq!(read(&answer), FAILED);
    let why = "# failed: QuerySessionByClientId on post-cn-1: InternalError: it said no (request ID 1-2-3); mend it\n";
    assert!(answer.text().starts_with(why), "{}", answer.text());
    let page = server.get("/api/v1/clients?text=old&status=online").await;
    assert!(
        page.text().contains(r#""total":1,"#),
        "a failed call changes nothing: {}",
        page.text()
    );
}

#[tokio::test]
async fn probes_of_one_client_that_meet_are_one_call() {
    let source = says(true);
    source.open(false);
    let server = server(&source, "").await;
    let mut scrapers = [
        server.client().await,
        server.client().await,
        server.client().await,
    ];
    for scraper in &mut scrapers {
        scraper.send(&request("GET", &path("new"), &[])).await;
    }
    until_asked(&source, 1).await;
    // Whatever was sent before this has been read.
    assert_eq!(server.get("/-/healthy").await.status, 200);
    source.open(true);
    for scraper in &mut scrapers {
        assert_eq!(
            read(&scraper.answer("GET").await.expect("an answer")),
            ONLINE
        );
    }
    assert_eq!(source.asked().len(), 1);
}

#[tokio::test]
async fn a_probe_answers_at_its_deadline_and_its_call_is_not_lost() {
    let source = says(true);
    source.open(false);
    let server = server(&source, "").await;
    let hurried = ["X-Prometheus-Scrape-Timeout-Seconds: 1.5"];
    let answer = server.request("GET", &path("new"), &hurried).await;
    assert_eq!(read(&answer), FAILED);
    assert!(
        answer
            .text()
            .starts_with("# failed: not answered in time; "),
        "{}",
        answer.text()
    );
    assert_eq!(source.asked().len(), 1);
    source.open(true);
    let known = async || {
        server
            .get("/api/v1/clients?text=new")
            .await
            .text()
            .contains(r#""status":"online""#)
    };
    soon(async { while !known().await {} }).await;
    assert_eq!(source.asked().len(), 1);
}

#[tokio::test]
async fn nobody_is_asked_once_calls_have_no_prospect() {
    let source = fails(failure(ErrorClass::Terminal, "NoPermission"));
    let server = server(&source, "").await;
    assert_eq!(read(&probe(&server, "new").await), FAILED);
    let answer = probe(&server, "old").await;
    assert_eq!(read(&answer), FAILED);
    assert!(
        answer
            .text()
            .starts_with("# failed: not queried: calls to post-cn-1 failed "),
        "{}",
        answer.text()
    );
    assert_eq!(source.asked(), ["GID_pumps@@@new"]);
}

#[tokio::test]
async fn one_client_that_cannot_be_asked_for_is_in_nobodys_way() {
    let source = Scripted::new(|client| match client {
        "GID_pumps@@@old" => Err(failure(ErrorClass::Client, "ParameterCheckFailed")),
        _ => Ok(true),
    });
    let server = server(&source, "").await;
    for _ in 0..12 {
        assert_eq!(read(&probe(&server, "old").await), FAILED);
    }
    assert_eq!(read(&probe(&server, "new").await), ONLINE);
}

#[tokio::test]
async fn a_question_that_is_not_complete_is_refused() {
    let source = says(true);
    let clients = |id| instance(id, &[("GID_pumps@@@1", &[], None)]);
    let several = start(
        vec![clients("post-cn-1"), clients("post-cn-2")],
        &source,
        "",
        WebOptions::default(),
    )
    .await;
    for (query, status, part) in [
        ("instance_id=post-cn-1", 400, "`client_id` is missing"),
        (
            "client_id=&instance_id=post-cn-1",
            400,
            "`client_id` is missing",
        ),
        (
            "client_id=GID_pumps@@@1",
            400,
            "several instances are configured",
        ),
        (
            "client_id=GID_pumps@@@1&instance_id=post-cn-3",
            404,
            "\"post-cn-3\" is not in the configuration",
        ),
        (
            "client_id=GID_pumps@@@2&instance_id=post-cn-1",
            404,
            "`probe.any_client`",
        ),
        (
            "client_id=GID_pumps@@@1&instance=post-cn-1",
            400,
            "unknown parameter `instance`; known parameters: `client_id`, `instance_id`",
        ),
    ] {
        let answer = several.get(&format!("/probe?{query}")).await;
        assert_eq!(answer.status, status, "{query}");
        assert!(answer.text().contains(part), "{}", answer.text());
    }
    assert_eq!(source.asked().len(), 0);
    let one = start(
        vec![clients("post-cn-1")],
        &source,
        "",
        WebOptions::default(),
    )
    .await;
    assert_eq!(
        read(&one.get("/probe?client_id=GID_pumps@@@1").await),
        ONLINE,
        "there is only one"
    );
}

#[tokio::test]
async fn a_client_id_that_is_too_long_is_refused_without_a_call() {
    let source = says(true);
    for more in ["", "probe: {any_client: true}"] {
        let server = server(&source, more).await;
        let answer = probe(&server, &"x".repeat(256)).await;
        assert_eq!(answer.status, 400);
        assert_eq!(
            answer.text(),
            "`client_id` has 268 bytes, more than the 256 that are allowed; correct or remove it\n"
        );
    }
    assert_eq!(source.asked().len(), 0);
    let server = server(&source, "probe: {any_client: true}").await;
    assert_eq!(read(&probe(&server, &"x".repeat(244)).await), ONLINE);
}

#[tokio::test]
async fn any_client_can_be_probed_where_the_configuration_allows_it() {
    let source = says(false);
    let server = server(&source, "probe: {any_client: true}").await;
    for _ in 0..2 {
        let answer = server.get("/probe?client_id=GID_%22x%22@@@y").await;
        assert_eq!(read(&answer), OFFLINE);
        let labels =
            r#"{client_id="GID_\"x\"@@@y",group_id="GID_\"x\"",instance_id="post-cn-1"} 0"#;
        assert!(
            answer.text().trim_end().ends_with(labels),
            "{}",
            answer.text()
        );
    }
    assert_eq!(
        source.asked().len(),
        1,
        "also of such a client a young answer is not asked for again"
    );
    let page = server.get("/api/v1/clients?limit=1").await;
    assert!(
        page.text().contains(r#""total":3,"#),
        "it does not enter the fleet: {}",
        page.text()
    );
}

#[tokio::test]
async fn head_asks_nobody_and_probes_have_places_of_their_own() {
    let source = says(true);
    source.open(false);
    let server = start(
        vec![clients()],
        &source,
        "",
        WebOptions {
            max_requests: 1,
            ..WebOptions::default()
        },
    )
    .await;
    let head = server.request("HEAD", &path("new"), &[]).await;
    assert_eq!((head.status, source.asked().len()), (200, 0));
    let mut scraper = server.client().await;
    scraper.send(&request("GET", &path("new"), &[])).await;
    until_asked(&source, 1).await;
    let refused = probe(&server, "old").await;
    assert_eq!(refused.status, 503);
    assert!(
        refused
            .text()
            .starts_with("too many concurrent probes: --web.max-requests is 1"),
        "{}",
        refused.text()
    );
    let hurried = ["X-Prometheus-Scrape-Timeout-Seconds: 0.001"];
    assert_eq!(
        server.request("GET", "/metrics", &hurried).await.status,
        200
    );
}

#[tokio::test]
async fn an_instance_that_leaves_takes_its_probes_with_it() {
    let source = says(true);
    source.open(false);
    let web = web(
        vec![clients()],
        &(Arc::clone(&source) as _),
        "",
        WebOptions::default(),
    );
    let (sweeps, config) = (Arc::clone(&web.sweeps), web.config.load_full());
    let server = Server::start(
        web.router().expect("the flags fit"),
        ServeOptions::default(),
    )
    .await;
    let mut scraper = server.client().await;
    scraper.send(&request("GET", &path("new"), &[])).await;
    until_asked(&source, 1).await;
    soon(sweeps.replace(Vec::new(), &config.collect)).await;
    let answer = scraper.answer("GET").await.expect("an answer");
    assert_eq!(read(&answer), FAILED);
    assert!(answer.text().starts_with(
        "# failed: not answered: the exporter is stopping, or the instance was removed"
    ));
    assert_eq!(probe(&server, "new").await.status, 404);
}

/// Waits until so many calls have begun.
async fn until_asked(source: &Scripted, calls: usize) {
    soon(async {
        while source.asked().len() < calls {
            tokio::time::sleep(Duration::from_millis(1)).await;
            yield_now().await;
        }
    })
    .await;
}
