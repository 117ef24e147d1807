//! What somebody does with the page, in a real browser.

use std::sync::Arc;
use std::time::Duration;

use fantoccini::Locator;
use fantoccini::key::Key;
use mqtt_presence_exporter::clock::Moment;
use mqtt_presence_exporter::presence::{
    FleetBuilder, InstanceId, InstanceState, LabelName, Observation, Operation,
};
use mqtt_presence_exporter::web::WebOptions;
use serde_json::json;

use super::browser::Browser;
use super::{HOSTILE, pumps, serve};
use crate::support::fleet::{NOW, instance};

const ROWS: &str = "[...document.querySelectorAll('[data-client]')]";

/// 250 pumps, every fifth of which is offline.
fn many() -> Arc<InstanceState> {
    let mut fleet = FleetBuilder::new(InstanceId::new("post-cn-1").expect("an ID"));
    let site = LabelName::new("site").expect("a name");
    for n in 0..250 {
        let group = if n < 200 { "GID_pumps" } else { "GID_gates" };
        let place = if n % 2 == 0 { "hangzhou" } else { "shanghai" };
        fleet
            .push(&format!("{group}@@@device-{n:03}"), [(&site, place)])
            .expect("new");
    }
    let state = Arc::new(InstanceState::new(fleet.build(), Duration::from_secs(300)));
    for n in 0..250 {
        let group = if n < 200 { "GID_pumps" } else { "GID_gates" };
        see(&state, &format!("{group}@@@device-{n:03}"), n % 5 != 0);
    }
    state
}

fn see(state: &InstanceState, client: &str, online: bool) {
    let at = Moment::from_micros(NOW * 1_000_000);
    state.publish(
        client,
        Observation {
            online,
            at,
            answered: at,
            operation: Operation::Single,
        },
    );
}

fn rows_are(condition: &str, count: usize) -> String {
    format!("{ROWS}.length === {count} && {ROWS}.every((row) => {condition})")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn devices_are_searched_filtered_sorted_and_paged() {
    let (server, source) = serve(
        vec![many(), instance("post-cn-2", &[("alone", &[], None)])],
        WebOptions::default(),
    )
    .await;
    let address = format!("http://{}/", server.address);
    Browser::with(async |browser| {
        let page = &browser.page;
        page.goto(&address).await.expect("it loads");
        browser
            .until("the first page", &rows_are("true", 100))
            .await;
        browser.value("window.mark = 1").await;
        let range =
            |text: &str| format!("document.querySelector('.range').innerText.startsWith('{text}')");
        browser
            .until("how many there are", &range("1–100 of 251"))
            .await;

        let search = page
            .find(Locator::Css("input[type=search]"))
            .await
            .expect("a field");
        search.send_keys("DEVICE-04").await.expect("typing");
        browser
            .until(
                "what was typed",
                &rows_are("row.dataset.client.includes('device-04')", 10),
            )
            .await;
        browser
            .until(
                "it is in the address",
                "location.search === '?text=DEVICE-04'",
            )
            .await;
        assert_eq!(
            browser.value("document.activeElement.name").await,
            "text",
            "and the focus stays"
        );

        page.find(Locator::Css("select[name=status]"))
            .await
            .expect("a list")
            .select_by_label("offline")
            .await
            .expect("one");
        browser
            .until(
                "offline ones among them",
                &rows_are("row.innerText.includes('offline')", 2),
            )
            .await;
        page.find(Locator::LinkText("show all"))
            .await
            .expect("a link")
            .click()
            .await
            .expect("a click");
        browser.until("all again", &range("1–100 of 251")).await;
        assert_eq!(
            browser
                .value("document.querySelector('input[type=search]').value")
                .await,
            ""
        );

        for (order, first) in [
            ("descending", "alone"),
            ("ascending", "GID_gates@@@device-200"),
        ] {
            page.find(Locator::LinkText("Device"))
                .await
                .expect("a column")
                .click()
                .await
                .expect("a click");
            let sorted = format!(
                "document.querySelector('[aria-sort={order}]')?.innerText.startsWith('Device')"
            );
            browser
                .until(
                    order,
                    &format!("{sorted} && {ROWS}[0].dataset.client === '{first}'"),
                )
                .await;
        }
        page.find(Locator::LinkText("Next →"))
            .await
            .expect("a link")
            .click()
            .await
            .expect("a click");
        browser
            .until("the second page", &range("101–200 of 251"))
            .await;
        page.back().await.expect("history");
        browser
            .until("the first page again", &range("1–100 of 251"))
            .await;

        page.find(Locator::LinkText("GID_gates"))
            .await
            .expect("a group")
            .send_keys(&Key::Enter)
            .await
            .expect("a key");
        browser
            .until(
                "the devices of a group",
                &rows_are("row.innerText.includes('GID_gates')", 50),
            )
            .await;
        browser
            .until(
                "the keyboard goes on there",
                "document.activeElement.id === 'devices'",
            )
            .await;
        assert_eq!(
            browser.value("window.mark").await,
            1,
            "all that was one page load"
        );
        assert_eq!(browser.console().await, json!([]));
    })
    .await;
    assert!(source.asked().is_empty(), "nobody is asked for");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_goes_offline_is_seen_without_a_reload() {
    let state = many();
    let (server, _) = serve(vec![Arc::clone(&state)], WebOptions::default()).await;
    let address = format!("http://{}/?text=device-001", server.address);
    Browser::with(async |browser| {
        browser.page.goto(&address).await.expect("it loads");
        browser
            .until(
                "one device",
                &rows_are("row.innerText.startsWith('online')", 1),
            )
            .await;
        browser
            .value("(window.row = document.querySelector('[data-client]'), 1)")
            .await;
        see(&state, "GID_pumps@@@device-001", false);
        browser
            .until(
                "it is offline",
                "window.row.isConnected && window.row.innerText.startsWith('offline')",
            )
            .await;
        browser
            .until(
                "it is counted",
                "document.querySelector('.total.offline strong').innerText === '51'",
            )
            .await;
        assert_eq!(browser.console().await, json!([]));

        // What nobody keeps up to date any more says so.
        server.shutdown.cancel();
        browser
            .until(
                "that it is out of date",
                "!document.getElementById('alert').hidden",
            )
            .await;
        browser.until("and still there", &rows_are("true", 1)).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_name_is_a_name() {
    let (server, _) = serve(vec![pumps()], WebOptions::default()).await;
    let address = format!("http://{}/", server.address);
    Browser::with(async |browser| {
        browser.page.goto(&address).await.expect("it loads");
        browser.until("all devices", &rows_are("true", 4)).await;
        let shown = format!(
            "{ROWS}.some((row) => row.innerText.includes({}))",
            json!(HOSTILE)
        );
        browser.until("the client ID as it is", &shown).await;
        let search = browser
            .page
            .find(Locator::Css("input[type=search]"))
            .await
            .expect("a field");
        search.send_keys(HOSTILE).await.expect("typing");
        browser
            .until(
                "those that have it, as an ID and as a label",
                &rows_are("true", 2),
            )
            .await;
        assert_eq!(browser.value("window.ran ?? 'nothing'").await, "nothing");
        assert_eq!(
            browser.console().await,
            json!([]),
            "no error, and nothing that the policy had to stop"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_fits_a_phone_and_the_dark() {
    let (server, _) = serve(vec![many(), pumps()], WebOptions::default()).await;
    let address = format!("http://{}/?sort=status", server.address);
    Browser::with(async |browser| {
        browser.page.goto(&address).await.expect("it loads");
        let back = "getComputedStyle(document.body).backgroundColor";
        let light = browser.value(back).await;
        browser.picture("light").await;
        let dark = json!({ "features": [{ "name": "prefers-color-scheme", "value": "dark" }] });
        browser.devtools("Emulation.setEmulatedMedia", dark).await;
        assert_ne!(browser.value(back).await, light);
        browser.picture("dark").await;
        let phone = json!({ "width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": true });
        browser
            .devtools("Emulation.setDeviceMetricsOverride", phone)
            .await;
        assert_eq!(
            browser.value("document.documentElement.scrollWidth").await,
            360,
            "nothing sticks out"
        );
        browser.picture("phone").await;
        assert_eq!(browser.console().await, json!([]));
    })
    .await;
}
