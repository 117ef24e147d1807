//! A headless Chromium, steered by WebDriver.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder};
use hyper::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};

/// A browser with a window of its own; it ends with this.
pub(super) struct Browser {
    pub(super) page: Client,
    _driver: Driver,
}

struct Driver(Child);

impl Drop for Driver {
    /// Ends its process group, since it leaves the browser running where it is ended itself.
    fn drop(&mut self) {
        let group = format!("-{}", self.0.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.0.wait();
    }
}

impl Browser {
    /// Starts `chromedriver`, and by it Chromium; both are packages of Debian.
    pub(super) async fn start() -> Self {
        let mut command = Command::new("chromedriver");
        let child = command
            .arg("--port=0")
            .process_group(0)
            .stdout(Stdio::piped())
            .spawn();
        let mut driver =
            Driver(child.expect("chromedriver; `apt install chromium chromium-driver`"));
        let lines = BufReader::new(driver.0.stdout.take().expect("a pipe")).lines();
        let port = lines.map_while(Result::ok).find_map(|line| {
            Some(
                line.split_once("started successfully on port ")?
                    .1
                    .trim_end_matches('.')
                    .to_owned(),
            )
        });
        let port = port.expect("chromedriver says its port");
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--window-size=1200,900",
        ];
        let capabilities = json!({
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(serde_json::from_value(capabilities).expect("a map"));
        let page = builder
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("a browser");
        Self {
            page,
            _driver: driver,
        }
    }

    /// The value of an expression on the page.
    pub(super) async fn value(&self, expression: &str) -> Value {
        self.page
            .execute(&format!("return {expression}"), Vec::new())
            .await
            .expect("it runs")
    }

    /// Waits until an expression on the page is true.
    pub(super) async fn until(&self, what: &str, expression: &str) {
        for _ in 0..1200 {
            if self.value(expression).await == Value::Bool(true) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let (address, text) = (
            self.value("location.href").await,
            self.value("document.body.innerText").await,
        );
        panic!(
            "waited in vain: {what}; the console says {}, the page at {address}: {text}",
            self.console().await
        );
    }

    /// What the console said, errors and violations of the policy among it.
    pub(super) async fn console(&self) -> Value {
        self.command("se/log", json!({ "type": "browser" })).await
    }

    /// A command of Chromium's own protocol.
    pub(super) async fn devtools(&self, command: &str, parameters: Value) {
        self.command(
            "goog/cdp/execute",
            json!({ "cmd": command, "params": parameters }),
        )
        .await;
    }

    /// Keeps a picture of the page, for people to look at.
    pub(super) async fn picture(&self, name: &str) {
        let path = format!("{}/page-{name}.png", env!("CARGO_TARGET_TMPDIR"));
        std::fs::write(path, self.page.screenshot().await.expect("a picture")).expect("a file");
    }

    async fn command(&self, path: &'static str, body: Value) -> Value {
        self.page
            .issue_cmd(Extension { path, body })
            .await
            .expect("it is known")
    }

    /// Runs `test` in a browser.
    pub(super) async fn with(test: impl AsyncFnOnce(&Self)) {
        let browser = Self::start().await;
        test(&browser).await;
        browser.page.clone().close().await.expect("it closes");
    }
}

/// A command that WebDriver leaves to its vendors.
#[derive(Debug)]
struct Extension {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Extension {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        base.join(&format!(
            "session/{}/{}",
            session.unwrap_or_default(),
            self.path
        ))
    }

    fn method_and_body(&self, _url: &url::Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}
