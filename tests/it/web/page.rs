//! The status page: what it says without JavaScript, and what a browser makes of it.

mod browser;
mod scenarios;

use std::sync::Arc;

use mqtt_presence_exporter::clock::Moment;
use mqtt_presence_exporter::net::ServeOptions;
use mqtt_presence_exporter::presence::{InstanceState, LastError};
use mqtt_presence_exporter::web::WebOptions;

use crate::support::fleet::{Known, NOW, instance, web};
use crate::support::http::{Answer, Server};
use crate::support::source::Scripted;

/// Text that would run if it were taken for HTML, wherever it stands.
const HOSTILE: &str =
    "\"'><script>window.ran=1</script><img src=x onerror=window.ran=1>&amp;{{7*7}}";

/// A page of these instances, and who would be asked.
async fn serve(instances: Vec<Arc<InstanceState>>, options: WebOptions) -> (Server, Arc<Scripted>) {
    let source = Scripted::new(|_| Ok(true));
    let web = web(instances, &(Arc::clone(&source) as _), "", options);
    (
        Server::start(
            web.router().expect("the flags fit"),
            ServeOptions::default(),
        )
        .await,
        source,
    )
}

fn pumps() -> Arc<InstanceState> {
    let clients: [Known<'_>; 4] = [
        ("GID_pumps@@@pump-1", &[("site", "hz")], Some((true, 10))),
        ("GID_pumps@@@pump-2", &[("site", "sh")], Some((false, 200))),
        ("GID_gates@@@gate-1", &[("note", HOSTILE)], None),
        (HOSTILE, &[], Some((true, 20))),
    ];
    instance("post-cn-1", &clients)
}

async fn get(path: &str) -> Answer {
    let (server, source) = serve(
        vec![pumps(), instance("post-cn-2", &[("other", &[], None)])],
        WebOptions::default(),
    )
    .await;
    let answer = server.get(path).await;
    assert!(source.asked().is_empty(), "nobody is asked");
    answer
}

/// The IDs in the rows of the table, as they stand in the HTML.
fn rows(page: &str) -> Vec<&str> {
    page.split("data-client=\"")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once('"')?.0))
        .collect()
}

/// What stands between the tags, with one blank where there is any space.
fn text(page: &str) -> String {
    let body = page.split_once("<main").expect("a page").1;
    let texts = body
        .split('<')
        .skip(1)
        .filter_map(|tag| Some(tag.split_once('>')?.1));
    texts
        .flat_map(str::split_whitespace)
        .collect::<Vec<_>>()
        .join(" ")
}

#[tokio::test]
async fn it_counts_devices_and_says_how_each_fares() {
    let page = get("/?sort=client_id").await;
    let text = text(page.text());
    for said in [
        "online 2 40.0 %",
        "offline 1 20.0 %",
        "unknown 2 40.0 %",
        "post-cn-1 2 1 1 50.0 %",
        "GID_pumps 1 1 0 50.0 %",
        "no group",
        "1–5 of 5",
        "offline GID_pumps@@@pump-2 site sh GID_pumps post-cn-1 3 min ago 3 min ago",
        "unknown GID_gates@@@gate-1",
        "API unknown Last sweep none completed yet",
        "Observations are valid for 5 min Last error none",
        "Queries on scrape; results up to 10 s old are reused; single queries",
        "Failed calls since start none",
    ] {
        assert!(text.contains(said), "{said:?} is not in {text}");
    }
}

#[tokio::test]
async fn without_javascript_forms_and_links_choose_sort_and_page() {
    assert_eq!(
        rows(
            get("/?text=PUMP&status=&instance_id=&group_id=")
                .await
                .text()
        )
        .len(),
        2
    );
    assert_eq!(
        rows(get("/?status=offline").await.text()),
        ["GID_pumps@@@pump-2"]
    );
    assert_eq!(rows(get("/?instance_id=post-cn-2").await.text()), ["other"]);
    assert_eq!(
        rows(get("/?group_id=GID_gates&label=note=x").await.text()),
        [""; 0]
    );
    let page = get("/?sort=-client_id&limit=2&text=p&label=site%3Dhz").await;
    let page = page.text();
    assert!(
        page.contains("<th scope=\"col\" aria-sort=\"descending\"><a href=\"?"),
        "{page}"
    );
    // What the form does not show goes along.
    for (name, value) in [("label", "site=hz"), ("sort", "-client_id"), ("limit", "2")] {
        assert!(
            page.contains(&format!(
                "<input type=\"hidden\" name=\"{name}\" value=\"{value}\">"
            )),
            "{page}"
        );
    }
    let page = get("/?limit=2&offset=2").await;
    assert!(
        page.text()
            .contains("href=\"?limit=2#devices\" rel=\"prev\""),
        "{}",
        page.text()
    );
    assert!(
        page.text()
            .contains("href=\"?limit=2&#38;offset=4#devices\" rel=\"next\""),
        "{}",
        page.text()
    );
}

#[tokio::test]
async fn a_query_that_cannot_be_used_is_refused_in_words_on_a_whole_page() {
    let page = get("/?status=asleep").await;
    assert_eq!(page.status, 400);
    let text = text(page.text());
    assert!(
        text.contains("`status=asleep`: must be `online`, `offline` or `unknown`"),
        "{text}"
    );
    assert!(text.contains("1–5 of 5"), "{text}");
}

#[tokio::test]
async fn nothing_breaks_out_of_its_place() {
    for path in [
        "/",
        "/?text=%22%3E%3Cscript%3Ewindow.ran%3D1",
        "/?nowhere=%22%3E%3Cscript%3Ewindow.ran%3D1",
    ] {
        let page = get(path).await;
        let policy = page.header("content-security-policy").expect("a policy");
        assert!(
            policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"),
            "{policy}"
        );
        assert!(!page.text().contains("<script>window"), "{}", page.text());
        assert_eq!(page.text().matches("<script>").count(), 1, "its own");
        assert!(
            !page.text().contains("<img") && !page.text().contains("style="),
            "{}",
            page.text()
        );
    }
}

#[tokio::test]
async fn the_last_error_is_told_in_words() {
    let state = pumps();
    let at = Moment::from_micros((NOW - 90) * 1_000_000);
    state.record_error(LastError {
        at,
        text: "QuerySessionByClientId on post-cn-1: NoPermission: <m>; grant it".into(),
    });
    let (server, _) = serve(vec![state], WebOptions::default()).await;
    let text = text(server.get("/").await.text());
    let said = "Last error 1 min ago : QuerySessionByClientId on post-cn-1: NoPermission: &#60;m&#62;; grant it";
    assert!(text.contains(said), "{text}");
}
