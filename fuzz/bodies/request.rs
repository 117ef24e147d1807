//! HTTP requests: no path, query, `Accept-Encoding` or scrape timeout causes a panic, and every
//! response is readable for Prometheus or a browser.

use axum::Router;
use axum::body::Body;
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use axum::http::{HeaderValue, Request, Response, Uri};
use http_body_util::BodyExt as _;
use mqtt_presence_exporter::web::WebOptions;
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt as _;

use super::fleet::{instance, web};
use super::source::Scripted;

/// An HTTP server with two clients and an API that answers for every client, in a runtime with paused time.
pub(crate) struct Edge {
    runtime: Runtime,
    router: Router,
}

impl Edge {
    pub(crate) fn new() -> Self {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .expect("a runtime");
        let clients: [(_, &[_], _); 2] = [
            ("GID_pumps@@@1", &[("site", "hz")], Some((true, 1))),
            ("plain", &[], None),
        ];
        let router = runtime.block_on(async {
            let source = Scripted::new(|client| Ok(client.len() % 2 == 0));
            let fleet = vec![instance("post-cn-1", &clients)];
            web(
                fleet,
                &(source as _),
                "probe: {any_client: true}",
                WebOptions::default(),
            )
            .router()
        });
        let router = router.expect("the flags fit");
        Self { runtime, router }
    }

    /// The lines are the path with its query, the accepted encodings, and the timeout.
    pub(crate) fn run(&self, bytes: &[u8]) {
        let mut lines = bytes.splitn(3, |&byte| byte == b'\n');
        let Ok(uri) = Uri::try_from(lines.next().unwrap_or_default()) else {
            return;
        };
        if uri.path() == "" {
            return;
        }
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = uri;
        for name in [
            ACCEPT_ENCODING.as_str(),
            "x-prometheus-scrape-timeout-seconds",
        ] {
            if let Some(value) = lines
                .next()
                .and_then(|value| HeaderValue::from_bytes(value).ok())
            {
                request.headers_mut().insert(
                    name.parse::<axum::http::HeaderName>().expect("a name"),
                    value,
                );
            }
        }
        self.runtime.block_on(self.ask(request));
    }

    async fn ask(&self, request: Request<Body>) {
        let Ok(answer) = self.router.clone().oneshot(request).await;
        let (head, body) = Response::into_parts(answer);
        assert!(
            [200, 302, 307, 308, 400, 403, 404, 405, 503].contains(&head.status.as_u16()),
            "{head:?}"
        );
        let body = body.collect().await.expect("a whole body").to_bytes();
        match head.headers.get(CONTENT_ENCODING) {
            Some(coding) => assert!(coding == "gzip" && body.starts_with(&[0x1f, 0x8b])),
            None => assert!(std::str::from_utf8(&body).is_ok()),
        }
    }
}
